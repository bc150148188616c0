import type { FastifyInstance } from 'fastify';
import { sendJson, sendProblem } from './send.ts';

/** Whether the service is of use, for whoever sends it requests: a person, a load balancer, a supervisor. */
export class Health {
  readonly #isPoisoned: () => boolean;
  #stopping = false;

  constructor(isPoisoned: () => boolean) {
    this.#isPoisoned = isPoisoned;
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  get poisoned(): boolean {
    return this.#isPoisoned();
  }

  stop(): void {
    this.#stopping = true;
  }
}

/** `/healthz`: the process answers. `/readyz`: it serves. Neither needs an API key, and neither tells anything else. */
export function addHealthRoutes(app: FastifyInstance, health: Health): void {
  app.get('/healthz', async (_, reply) => sendJson(reply, '{"status":"alive"}'));
  app.get('/readyz', async (_, reply) => {
    if (health.poisoned) return sendProblem(reply, 'poisoned', 'start the service again to recover');
    return sendJson(reply, '{"status":"serving"}');
  });
}
