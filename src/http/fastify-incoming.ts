import type { FastifyRequest } from 'fastify';
import { bodyOf, type Incoming } from './incoming.ts';

/** What came in by Fastify; `read` hands over the body that was captured before. */
export function fastifyIncoming(
  request: FastifyRequest,
  read: (request: FastifyRequest) => Uint8Array<ArrayBuffer>,
): Incoming {
  const target = request.raw.url ?? '/';
  const at = target.indexOf('?');
  const headers = headersOf(request);
  const { method } = request;
  return {
    method,
    // Not by way of URL, which resolves dot segments: `/kv/a/../b` names another key than `/kv/b`.
    path: at === -1 ? target : target.slice(0, at),
    query: at === -1 ? '' : target.slice(at + 1),
    header: (name) => headers.get(name) ?? undefined,
    readBody: async () => ({ outcome: 'read', bytes: read(request) }),
    toRequest: (body) => new Request(urlOf(request, target), { method, headers, body: bodyOf(method, body) }),
  };
}

function headersOf({ raw }: FastifyRequest): Headers {
  const headers = new Headers();
  // Fastify's own view of them drops some that were sent twice; two keys must not look like one.
  for (let at = 0; at + 1 < raw.rawHeaders.length; at += 2) {
    const [name = '', value = ''] = raw.rawHeaders.slice(at, at + 2);
    // HTTP/2's pseudo-headers are the method, the target and the host.
    if (!name.startsWith(':')) headers.append(name, value);
  }
  return headers;
}

/** `Host` is the client's own word: one that would change the path, or is none, does not get into the URL. */
const plainHost = /^[\w.\-:[\]]+$/;

function urlOf({ protocol, host }: FastifyRequest, target: string): string {
  const origin = plainHost.test(host) ? `${protocol}://${host}` : 'http://localhost';
  return URL.canParse(origin) ? origin + target : `http://localhost${target}`;
}
