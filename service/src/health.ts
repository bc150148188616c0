import type { FastifyInstance } from 'fastify';
import { sendJson, sendProblemDocument } from './send.ts';
import type { Storage } from './storage.ts';

/** Whether the service is being stopped. */
export class Health {
  #stopping = false;

  get stopping(): boolean {
    return this.#stopping;
  }

  stop(): void {
    this.#stopping = true;
  }
}

/** `/healthz`: the process answers. `/readyz`: it serves. Neither needs an API key, and neither tells anything else. */
export function addHealthRoutes(app: FastifyInstance, storage: Storage): void {
  app.get('/healthz', async (_, reply) => sendJson(reply, '{"status":"alive"}'));
  app.get('/readyz', async (_, reply) => {
    const unreadiness = await storage.unreadiness();
    if (unreadiness !== undefined) return sendProblemDocument(reply, unreadiness);
    return sendJson(reply, '{"status":"serving"}');
  });
}
