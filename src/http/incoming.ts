import { InvalidArgumentError } from '../kv/errors.ts';
import { readStream, type ReadStream } from './read-stream.ts';

/** What the contract needs of a request, whichever server it came in by. */
export interface Incoming {
  readonly method: string;
  /** As it was sent: never a route's pattern, and never normalised. */
  readonly path: string;
  /** What follows the question mark, as it was sent. */
  readonly query: string;
  /** Several fields of one name are joined by commas. */
  header(name: string): string | undefined;
  /** The bytes as they were sent, before any parser. Called once. */
  readBody(bytesMax: number): Promise<ReadStream>;
  /** A request of its own for each attempt, so that a body that runs again can read again. */
  toRequest(body: Uint8Array<ArrayBuffer>): Request;
}

/** @throws InvalidArgumentError where somebody has read the body already: what was sent can then no longer be known */
export function incomingRequest(request: Request): Incoming {
  if (request.bodyUsed) throw new InvalidArgumentError('the request body', 'used up', 'one that nobody has read yet');
  const url = new URL(request.url);
  const method = request.method.toUpperCase();
  return {
    method,
    path: url.pathname,
    query: url.search.slice(1),
    header: (name) => request.headers.get(name) ?? undefined,
    async readBody(bytesMax) {
      // A client that says so beforehand is spared the sending.
      if (Number(request.headers.get('content-length')) > bytesMax) return { outcome: 'too-large' };
      return readStream(request.body, bytesMax);
    },
    // Without the caller's signal: an operation goes on when its client has left.
    toRequest: (body) => new Request(url, { method, headers: request.headers, body: bodyOf(method, body) }),
  };
}

/** Fetch allows a GET or HEAD no body at all, not even an empty one. What was sent with one has no meaning (RFC 9110, section 9.3.1). */
export function bodyOf(method: string, bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> | null {
  return method === 'GET' || method === 'HEAD' || bytes.length === 0 ? null : bytes;
}

/**
 * The pairs of a query whose names are selected, each spelled as it was sent. Names are decoded to be selected; nothing else is
 * decoded, for two values that are no UTF-8 would both become replacement characters, and so the same.
 */
export function selectQuery(query: string, selected: ReadonlySet<string> | 'all'): (readonly [string, string])[] {
  const pairs = query
    .split('&')
    .filter((pair) => pair !== '')
    .map(splitPair);
  return selected === 'all' ? pairs : pairs.filter(([name]) => selected.has(decodeName(name)));
}

function splitPair(pair: string): readonly [string, string] {
  const at = pair.indexOf('=');
  return at === -1 ? [pair, ''] : [pair.slice(0, at), pair.slice(at + 1)];
}

function decodeName(name: string): string {
  return new URLSearchParams(`${name}=`).keys().next().value ?? '';
}
