import type { FastifyInstance } from 'fastify';
import type { ApiKeys } from './api-keys.ts';
import { sendProblem } from './send.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Whose data the request is about. Every look-up is scoped by it. */
    tenant: string;
  }
}

/** Who calls where no API keys are configured: the service then listens to this machine alone. */
export const defaultTenant = 'default';

/** Lets into the routes of `app` only who has a key, and tells them whose it is; without `apiKeys`, everyone. */
export function identifyCallers(app: FastifyInstance, apiKeys: ApiKeys | undefined): void {
  app.decorateRequest('tenant', defaultTenant);
  if (apiKeys === undefined) return;
  // Before the body is read: a stranger's body is none of our business.
  app.addHook('onRequest', async (request, reply) => {
    const apiKey = bearerToken(request.headers.authorization);
    const tenant = apiKey === undefined ? undefined : apiKeys.tenantOf(apiKey);
    if (tenant !== undefined) {
      request.tenant = tenant;
      return undefined;
    }
    // RFC 6750, section 3: who sent no token is not told of an error.
    reply.header('www-authenticate', apiKey === undefined ? 'Bearer' : 'Bearer error="invalid_token"');
    const detail = 'send `Authorization: Bearer` with an API key of this service';
    return sendProblem(reply, apiKey === undefined ? 'api-key-missing' : 'api-key-unknown', detail);
  });
}

/** RFC 6750, section 2.1; the scheme's name is in any case (RFC 9110, section 11.1). */
function bearerToken(authorization: string | undefined): string | undefined {
  return /^bearer +([\x21-\x7e]+) *$/i.exec(authorization ?? '')?.[1];
}
