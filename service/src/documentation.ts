import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import { openapi } from './openapi.ts';
import { sendJson } from './send.ts';

/** The description of the API, for programs at `/openapi.json`, for people at `/docs`. Both work without a network. */
export async function addDocumentation(app: FastifyInstance): Promise<void> {
  const json = JSON.stringify(openapi());
  await app.register(swagger, { mode: 'static', specification: { document: JSON.parse(json) } });
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    // The page would send the description to a stranger's validator otherwise.
    uiConfig: { validatorUrl: null, deepLinking: true, tryItOutEnabled: true },
    staticCSP: "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
  });
  app.get('/openapi.json', async (_, reply) => sendJson(reply, json));
}
