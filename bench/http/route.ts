import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once as nextEvent } from 'node:events';
import { join } from 'node:path';
import Fastify, { type FastifyInstance } from 'fastify';
import type { Store } from 'semel';
import { openStore } from 'semel/embedded';
import { createOnce } from 'semel/fastify';
import type { Contender } from '../claim.ts';
import type { LoadDone, LoadOrder } from './load.ts';

const accounts = 1_000;

export async function protectedRoute(directory: string): Promise<Contender> {
  return serve(directory, (app, store) => {
    const once = createOnce(store, { scope: () => 'bench' });
    app.register(
      once({
        method: 'POST',
        url: '/accounts/:id/deposits',
        async handler(request, tx, { params }) {
          const { amount } = (await request.json()) as Deposit;
          await tx.add(['account', params['id'] ?? ''], amount);
          return Response.json({ account: params['id'], amount }, { status: 201 });
        },
      }),
    );
  });
}

export async function unprotectedRoute(directory: string): Promise<Contender> {
  return serve(directory, (app, store) => {
    app.post<{ Params: { id: string }; Body: Deposit }>('/accounts/:id/deposits', async (request, reply) => {
      const { id } = request.params;
      const { amount } = request.body;
      await store.transact((tx) => tx.add(['account', id], amount));
      return reply.code(201).send({ account: id, amount });
    });
  });
}

interface Deposit {
  readonly amount: number;
}

/** The server is in this process, its clients in one of their own. */
async function serve(directory: string, addRoute: (app: FastifyInstance, store: Store) => void): Promise<Contender> {
  const store = await openStore({ directory: join(directory, 'semel') });
  const app = Fastify();
  addRoute(app, store);
  const origin = await app.listen({ port: 0, host: '127.0.0.1' });
  const load = fork(join(import.meta.dirname, 'load.ts'));
  await nextEvent(load, 'message');
  let total = 0;
  return {
    async run(connections, durationMs) {
      load.send({ origin, connections, durationMs, accounts } satisfies LoadOrder);
      const [done] = (await nextEvent(load, 'message')) as [LoadDone];
      total += done.deposited;
      assert.equal(await balances(store), total, 'each answered deposit is there, once');
      return { operations: done.operations, elapsedMs: done.elapsedMs };
    },
    async close() {
      load.disconnect();
      await app.close();
      await store.close();
    },
  };
}

async function balances(store: Store): Promise<number> {
  return store.read(async (tx) => {
    let sum = 0;
    for await (const { value } of tx.scan({ prefix: ['account'] })) sum += Number(value);
    return sum;
  });
}
