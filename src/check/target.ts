import { InvalidInputError } from './check-error.ts';

/** The request that is checked, as a request file has it. */
export interface RequestDescription {
  /** POST by default. */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A string or bytes are sent as they are, anything else as JSON. */
  readonly body?: unknown;
  /** Another payload that the endpoint accepts; made from a JSON `body` where it is not given. */
  readonly otherBody?: unknown;
}

/** The endpoint under check, and the two requests that are sent to it. */
export interface Target {
  readonly url: URL;
  readonly method: string;
  /** Without the key, in the order in which they are sent. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
  /** `undefined` where nobody gave one and none can be made. */
  readonly otherBody: Buffer | undefined;
  /** The field that carries the key. */
  readonly keyHeader: string;
}

export interface TargetOptions {
  /** Sent with every request, and with reads of the count at the same origin. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly keyHeader?: string;
}

/** @throws InvalidInputError, in words for who wrote the request */
export function describeTarget(address: string, request: RequestDescription, options: TargetOptions = {}): Target {
  const { method = 'POST', body, otherBody } = request;
  const { keyHeader = 'Idempotency-Key' } = options;
  if (!token.test(method)) throw new InvalidInputError(`${JSON.stringify(method)} is not a method`);
  if (!token.test(keyHeader)) throw new InvalidInputError(`${JSON.stringify(keyHeader)} is not the name of a field`);
  const headers = mergeHeaders(request.headers, options.headers);
  for (const [name, value] of headers) assertSendable(name, value, keyHeader);
  const isJson = body !== undefined && typeof body !== 'string' && !(body instanceof Uint8Array);
  if (isJson && !headers.some(([name]) => /^content-type$/i.test(name))) {
    headers.push(['Content-Type', 'application/json']);
  }
  const other = otherBody === undefined ? alteredBody(body) : otherBody;
  return {
    url: readUrl(address),
    method,
    headers,
    body: bytesOf(body),
    otherBody: other === undefined ? undefined : bytesOf(other),
    keyHeader,
  };
}

/** The later ones win; names of fields are the same in either case. */
export function mergeHeaders(
  ...given: readonly (Readonly<Record<string, string>> | undefined)[]
): [name: string, value: string][] {
  const pairs = given.flatMap((headers) => Object.entries(headers ?? {}));
  return [...new Map(pairs.map((pair) => [pair[0].toLowerCase(), pair])).values()];
}

/** @throws InvalidInputError */
export function readUrl(address: string): URL {
  const url = URL.parse(address);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new InvalidInputError(`${address} is not an address that begins with http:// or https://`);
  }
  // It would be printed wherever the address is.
  if (url.username !== '' || url.password !== '') {
    throw new InvalidInputError('the address has a user and a password in it; send them in a header instead');
  }
  return url;
}

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

function assertSendable(name: string, value: unknown, keyHeader: string): void {
  if (!token.test(name)) throw new InvalidInputError(`${JSON.stringify(name)} is not the name of a field`);
  // eslint-disable-next-line no-control-regex -- what HTTP forbids in a value
  if (typeof value !== 'string' || /[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]/.test(value)) {
    throw new InvalidInputError(`the value of the header ${name} cannot be sent`);
  }
  const lower = name.toLowerCase();
  if (lower === keyHeader.toLowerCase()) {
    throw new InvalidInputError(`the checker makes the keys itself; take ${name} out of the headers`);
  }
  if (['host', 'content-length', 'transfer-encoding', 'connection', 'expect'].includes(lower)) {
    throw new InvalidInputError(`the checker writes ${name} itself; take it out of the headers`);
  }
}

function bytesOf(body: unknown): Buffer {
  if (body === undefined) return Buffer.alloc(0);
  if (body instanceof Uint8Array) return Buffer.from(body);
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

/**
 * The same document with one leaf changed, in the least surprising way, so that an endpoint that validates accepts it too: the
 * first number is one more, or else the last string is longer, or else the first boolean is the other one.
 */
export function alteredBody(body: unknown): unknown {
  let document = body;
  if (typeof body === 'string') {
    try {
      document = JSON.parse(body);
    } catch {
      return undefined;
    }
  }
  if (typeof document !== 'object' || document === null || document instanceof Uint8Array) return undefined;
  const copy: unknown = structuredClone(document);
  const leaves = [...leavesOf(copy)];
  const leaf =
    leaves.find(({ value }) => Number.isSafeInteger(value)) ??
    leaves.findLast(({ value }) => typeof value === 'string') ??
    leaves.find(({ value }) => typeof value === 'boolean');
  if (leaf === undefined) return undefined;
  const { holder, name, value } = leaf;
  if (typeof value === 'number') holder[name] = value + 1;
  else holder[name] = typeof value === 'string' ? `${value}-other` : value !== true;
  return typeof body === 'string' ? JSON.stringify(copy) : copy;
}

interface Leaf {
  readonly holder: Record<string, unknown>;
  readonly name: string;
  readonly value: unknown;
}

function* leavesOf(document: unknown): Generator<Leaf> {
  const holder = document as Record<string, unknown>;
  for (const [name, value] of Object.entries(holder)) {
    if (typeof value === 'object' && value !== null) yield* leavesOf(value);
    else yield { holder, name, value };
  }
}
