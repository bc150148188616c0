import { once as event } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Transaction } from 'semel';
import { createOnce } from 'semel/http';
import { allowedOrigin, tenantOf, type Around, type Door, type DoorContext } from './door.harness.ts';

type Fetch = (request: Request) => Promise<Response>;

/** `semel/http` behind the least server that speaks web-standard requests. */
export const webDoor: Door = {
  name: 'semel/http',
  async open(store, routes, { options, around }) {
    const once = createOnce<Transaction, DoorContext>(store, {
      ...options,
      scope: (request) => tenantOf(request.headers.get('tenant') ?? undefined),
    });
    const served = routes.map(({ method, path, handler, options: routeOptions }) => ({
      method,
      pattern: patternOf(path),
      handle: once(handler, routeOptions),
    }));
    const dispatch: Fetch = async (request) => {
      const asked = request.method === 'HEAD' ? 'GET' : request.method;
      for (const { method, pattern, handle } of served) {
        const match = pattern.exec(new URL(request.url).pathname);
        if (match === null || method !== asked) continue;
        const params = Object.entries(match.groups ?? {}).map(([name, value]) => [name, decodeURIComponent(value)]);
        return handle(request, { params: Object.fromEntries(params) });
      }
      return new Response(null, { status: 404 });
    };
    const fetch = around.reduce<Fetch>((inner, which) => surroundings[which](inner), dispatch);
    const server = createServer((incoming, outgoing) => void answer(fetch, incoming, outgoing));
    server.listen(0, '127.0.0.1');
    await event(server, 'listening');
    return {
      server,
      async close() {
        server.close();
        server.closeAllConnections();
        await event(server, 'close');
      },
    };
  },
};

async function answer(fetch: Fetch, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const response = await fetch(requestOf(incoming)).catch(() => new Response('fault', { status: 500 }));
  const bytes = await response.bytes();
  for (const [name, value] of response.headers) outgoing.appendHeader(name, value);
  if (bytes.length > 0) outgoing.setHeader('content-length', bytes.length);
  // Before the end, with which Node.js would take a Content-Disposition for UTF-8.
  outgoing.writeHead(response.status);
  // What was not read is taken in, so that a client still sending can read its answer.
  incoming.on('error', () => undefined).resume();
  outgoing.end(bytes);
}

function requestOf(incoming: IncomingMessage): Request {
  const { method = 'GET', rawHeaders, url = '/' } = incoming;
  const headers = new Headers();
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) headers.append(rawHeaders[at] ?? '', rawHeaders[at + 1] ?? '');
  const body =
    method === 'GET' || method === 'HEAD' ? null : ReadableStream.from(incoming.iterator({ destroyOnReturn: false }));
  return new Request(`http://localhost${url}`, { method, headers, body, duplex: 'half' });
}

const surroundings: Readonly<Record<Around, (inner: Fetch) => Fetch>> = {
  compression: (inner) => async (request) => {
    const response = await inner(request);
    const wanted = (request.headers.get('accept-encoding') ?? '').includes('gzip');
    if (!wanted || response.body === null || response.headers.has('content-encoding')) return response;
    const headers = new Headers(response.headers);
    headers.set('content-encoding', 'gzip');
    headers.append('vary', 'Accept-Encoding');
    return new Response(response.body.pipeThrough(new CompressionStream('gzip')), { status: response.status, headers });
  },
  cors: (inner) => async (request) => {
    if (request.method === 'OPTIONS') {
      const fields = {
        'access-control-allow-headers': 'idempotency-key',
        'access-control-allow-origin': allowedOrigin,
      };
      return new Response(null, { status: 204, headers: fields });
    }
    const response = await inner(request);
    response.headers.set('access-control-allow-origin', allowedOrigin);
    response.headers.append('vary', 'Origin');
    return response;
  },
  fields: (inner) => async (request) => {
    const response = await inner(request);
    response.headers.set('x-frame-options', 'DENY');
    response.headers.append('set-cookie', 'seen=1');
    return response;
  },
};

/** Paths with `:name` for a segment. The oldest Node.js that the library runs on has no `URLPattern`. */
function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replaceAll(/:(\w+)/g, '(?<$1>[^/]+)')}$`);
}
