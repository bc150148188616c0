/**
 * Orders that are paid in credits, once each, with Fastify.
 *
 *     node examples/fastify.ts
 *     curl -i localhost:3000/orders -H 'Authorization: Bearer ada-token' -H 'Idempotency-Key: order-1' \
 *       -H 'Content-Type: application/json' -d '{"item":"tea","credits":30}'
 *     curl -s localhost:3000/orders -H 'Authorization: Bearer ada-token'
 *
 * Send the first as often as you like, and kill the server in between: one order is there, and 30 credits are spent.
 */
import process from 'node:process';
import Fastify, { type FastifyRequest } from 'fastify';
import { openStore } from 'semel/embedded';
import { createOnce } from 'semel/fastify';
import { startReaper } from 'semel/workers';

interface Order {
  readonly item: string;
  readonly credits: number;
}

/** Fastify validates it before the key is used, so a malformed order can be corrected and sent under the same one. */
const orderSchema = {
  type: 'object',
  required: ['item', 'credits'],
  properties: { item: { type: 'string' }, credits: { type: 'integer', minimum: 1 } },
};

const accounts = new Map([['Bearer ada-token', 'ada']]);
const accountOf = (request: FastifyRequest) => accounts.get(request.headers.authorization ?? '') ?? '';

const store = await openStore({ directory: process.env['DATA'] ?? './data' });
startReaper(store); // removes results whose retention is over
await store.transact(async (tx) => {
  if ((await tx.get(['credits', 'ada'])) === undefined) tx.set(['credits', 'ada'], 100);
});
const once = createOnce(store, { scope: accountOf });

const app = Fastify();
app.addHook('onRequest', async (request, reply) => {
  if (accountOf(request) === '') await reply.code(401).send({ error: 'who are you?' });
});

app.register(
  once({
    method: 'POST',
    url: '/orders',
    schema: { body: orderSchema },
    async handler(webRequest, tx, { request }) {
      const { item, credits } = (await webRequest.json()) as Order;
      const spent = await tx.add(['credits', accountOf(request)], -credits, { min: 0 });
      if (spent.outcome === 'refused') return Response.json({ error: 'not enough credits' }, { status: 402 });
      tx.set(['order', accountOf(request), tx.version], { item, credits });
      return Response.json({ order: tx.version }, { status: 201 });
    },
  }),
);

app.get('/orders', (request) =>
  store.read(async (tx) => ({
    credits: await tx.get(['credits', accountOf(request)]),
    orders: await Array.fromAsync(tx.scan({ prefix: ['order', accountOf(request)] }), ({ value }) => value),
  })),
);

console.log(`listening on ${await app.listen({ port: Number(process.env['PORT'] ?? 3000) })}`);
