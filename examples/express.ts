/**
 * Orders that are paid in credits, once each, with Express.
 *
 *     node examples/express.ts
 *     curl -i localhost:3000/orders -H 'Authorization: Bearer ada-token' -H 'Idempotency-Key: order-1' \
 *       -H 'Content-Type: application/json' -d '{"item":"tea","credits":30}'
 *     curl -s localhost:3000/orders -H 'Authorization: Bearer ada-token'
 *
 * Send the first as often as you like, and kill the server in between: one order is there, and 30 credits are spent.
 */
import process from 'node:process';
import express, { type Request as ExpressRequest } from 'express';
import { openStore } from 'semel/embedded';
import { createOnce } from 'semel/express';
import { startReaper } from 'semel/workers';

interface Order {
  readonly item: string;
  readonly credits: number;
}

/** Runs before the key is used, so a malformed order can be corrected and sent under the same one. */
async function refuseMalformed(request: Request): Promise<Response | undefined> {
  const { item, credits } = Object(await request.json().catch(() => undefined)) as Partial<Order>;
  if (typeof item === 'string' && Number.isSafeInteger(credits) && Number(credits) > 0) return undefined;
  return Response.json({ error: 'an order has an item and credits' }, { status: 400 });
}

const accounts = new Map([['Bearer ada-token', 'ada']]);
const accountOf = (req: ExpressRequest) => accounts.get(req.get('authorization') ?? '') ?? '';

const store = await openStore({ directory: process.env['DATA'] ?? './data' });
startReaper(store); // removes results whose retention is over
await store.transact(async (tx) => {
  if ((await tx.get(['credits', 'ada'])) === undefined) tx.set(['credits', 'ada'], 100);
});
const once = createOnce(store, { scope: accountOf });

const app = express();
app.use((req, res, next) => {
  if (accountOf(req) !== '') return next();
  res.status(401).json({ error: 'who are you?' });
});

app.post(
  '/orders',
  once(
    async (request, tx, { req }) => {
      const { item, credits } = (await request.json()) as Order;
      const spent = await tx.add(['credits', accountOf(req)], -credits, { min: 0 });
      if (spent.outcome === 'refused') return Response.json({ error: 'not enough credits' }, { status: 402 });
      tx.set(['order', accountOf(req), tx.version], { item, credits });
      return Response.json({ order: tx.version }, { status: 201 });
    },
    { guard: refuseMalformed },
  ),
);

app.get('/orders', async (req, res) => {
  const view = await store.read(async (tx) => ({
    credits: await tx.get(['credits', accountOf(req)]),
    orders: await Array.fromAsync(tx.scan({ prefix: ['order', accountOf(req)] }), ({ value }) => value),
  }));
  res.json(view);
});

const port = Number(process.env['PORT'] ?? 3000);
app.listen(port, (error) => {
  if (error) throw error;
  console.log(`listening on http://localhost:${port}`);
});
