import type { IncomingMessage } from 'node:http';
import { bodyOf, type Incoming } from './incoming.ts';

export interface NodeRequest {
  readonly method: string;
  /** As it was sent, whatever a router has made of it. */
  readonly target: string;
  readonly protocol: string;
  /** `Host`, or what a trusted proxy says that it was; HTTP/1.0 knows none. */
  readonly host: string | undefined;
  readonly rawHeaders: IncomingMessage['rawHeaders'];
  readonly readBody: Incoming['readBody'];
}

/** What came in by a server of Node's. */
export function nodeIncoming({ method, target, protocol, host, rawHeaders, readBody }: NodeRequest): Incoming {
  const at = target.indexOf('?');
  const headers = headersOf(rawHeaders);
  return {
    method,
    // Not by way of URL, which resolves dot segments: `/kv/a/../b` names another key than `/kv/b`.
    path: at === -1 ? target : target.slice(0, at),
    query: at === -1 ? '' : target.slice(at + 1),
    header: (name) => headers.get(name) ?? undefined,
    readBody,
    toRequest: (body) => new Request(urlOf(protocol, host, target), { method, headers, body: bodyOf(method, body) }),
  };
}

function headersOf(rawHeaders: readonly string[]): Headers {
  const headers = new Headers();
  // Node's own view of them drops some that were sent twice; two keys must not look like one.
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const [name = '', value = ''] = rawHeaders.slice(at, at + 2);
    // HTTP/2's pseudo-headers are the method, the target and the host.
    if (!name.startsWith(':')) headers.append(name, value);
  }
  return headers;
}

/** `Host` is the client's own word: one that would change the path, or is none, does not get into the URL. */
const plainHost = /^[\w.\-:[\]]+$/;

function urlOf(protocol: string, host: string | undefined, target: string): string {
  const origin = host !== undefined && plainHost.test(host) ? `${protocol}://${host}` : 'http://localhost';
  return URL.canParse(origin) ? origin + target : `http://localhost${target}`;
}
