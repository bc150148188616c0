import type { FastifyInstance, FastifyRequest } from 'fastify';
import { isLoopbackAuthority } from './loopback.ts';
import { authorityOf } from './request-target.ts';
import { sendProblem } from './send.ts';

/**
 * Where no API keys are configured, the service listens to this machine alone; but a browser on this machine runs programs
 * of everybody's. A page of any website may send what CORS calls a simple request, such as a POST without a body, though it may
 * not read the answer; and one whose name is made to point at 127.0.0.1 (DNS rebinding) counts as the service's own origin,
 * and reads everything. The first is known by `Origin` and `Sec-Fetch-Site`, which no page can forge, the second by `Host`.
 */
export function refuseForeignCallers(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    const fault = foreignness(request);
    return fault === undefined ? undefined : sendProblem(reply, 'caller-foreign', `${fault}; ${remedy}`);
  });
}

const remedy =
  'without API keys the service is for programs of this machine alone: address it as localhost, 127.0.0.1 or [::1], or ' +
  'start it with --api-keys';

function foreignness(request: FastifyRequest): string | undefined {
  const { headers, originalUrl } = request;
  const authority = authorityOf(originalUrl, headers.host);
  // Programs of old, of HTTP/1.0, send none. Browsers do.
  if (authority !== undefined && !isLoopbackAuthority(authority)) return 'Host names another machine';
  const { origin } = headers;
  if (origin !== undefined && !isLoopbackOrigin(origin)) return 'Origin is a website';
  if (headers['sec-fetch-site'] === 'cross-site' && !isNavigation(request)) return 'Sec-Fetch-Site is cross-site';
  return undefined;
}

/** `null`, which a sandboxed page or a file has, is nobody's. */
function isLoopbackOrigin(origin: string): boolean {
  const [, authority] = /^https?:\/\/([^/]*)$/i.exec(origin) ?? [];
  return authority !== undefined && isLoopbackAuthority(authority);
}

/** A person who follows a link to /docs from some page. The page does not get to see what is there. */
function isNavigation({ method, headers }: FastifyRequest): boolean {
  return method === 'GET' && headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document';
}
