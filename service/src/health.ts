import type { FastifyInstance } from 'fastify';
import { wayToRecover } from './disk-full.ts';
import { sendJson, sendProblem } from './send.ts';

/** Whether the service is of use, for whoever sends it requests: a person, a load balancer, a supervisor. */
export class Health {
  #poison: { readonly cause: unknown } | undefined;
  #stopping = false;

  get stopping(): boolean {
    return this.#stopping;
  }

  /** What stopped the store for good, once something has. */
  get poison(): { readonly cause: unknown } | undefined {
    return this.#poison;
  }

  poisonedBy(cause: unknown): void {
    this.#poison = { cause };
  }

  stop(): void {
    this.#stopping = true;
  }
}

/** `/healthz`: the process answers. `/readyz`: it serves. Neither needs an API key, and neither tells anything else. */
export function addHealthRoutes(app: FastifyInstance, health: Health): void {
  app.get('/healthz', async (_, reply) => sendJson(reply, '{"status":"alive"}'));
  app.get('/readyz', async (_, reply) => {
    if (health.poison !== undefined) return sendProblem(reply, 'poisoned', wayToRecover(health.poison.cause));
    return sendJson(reply, '{"status":"serving"}');
  });
}
