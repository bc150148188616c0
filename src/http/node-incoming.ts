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
export function nodeIncoming(request: NodeRequest): Incoming {
  const { method, protocol, host, rawHeaders, readBody } = request;
  const target = originForm(request.target);
  const at = target.indexOf('?');
  return {
    method,
    // Not by way of URL, which resolves dot segments: `/kv/a/../b` names another key than `/kv/b`.
    path: at === -1 ? target : target.slice(0, at),
    query: at === -1 ? '' : target.slice(at + 1),
    header: (name) => fieldOf(rawHeaders, name),
    readBody,
    toRequest: (body) =>
      new Request(urlOf(protocol, host, target), {
        method,
        headers: headersOf(rawHeaders),
        body: bodyOf(method, body),
      }),
  };
}

/** RFC 9112, section 3.2.2: a client may send the whole URL, and means what it means without scheme and authority. */
function originForm(target: string): string {
  const path = target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '');
  return path === target || path.startsWith('/') ? path : `/${path}`;
}

/** From the list as it came: Node's own view of it drops some fields that were sent twice, and two keys must not look like one. */
function fieldOf(rawHeaders: readonly string[], name: string): string | undefined {
  let found: string | undefined;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const value = rawHeaders[at + 1] ?? '';
    if (rawHeaders[at]?.toLowerCase() === name) found = found === undefined ? value : `${found}, ${value}`;
  }
  return found;
}

function headersOf(rawHeaders: readonly string[]): [string, string][] {
  const headers: [string, string][] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? '';
    // HTTP/2's pseudo-headers are the method, the target and the host.
    if (!name.startsWith(':')) headers.push([name, rawHeaders[at + 1] ?? '']);
  }
  return headers;
}

/** `Host` is the client's own word: one that would change the path, or is none, does not get into the URL. */
const plainHost = /^[\w.\-:[\]]+$/;

function urlOf(protocol: string, host: string | undefined, target: string): string {
  const origin = host !== undefined && plainHost.test(host) ? `${protocol}://${host}` : 'http://localhost';
  return URL.canParse(origin) ? origin + target : `http://localhost${target}`;
}
