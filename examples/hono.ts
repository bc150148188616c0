/**
 * Orders that are paid in credits, once each, with Hono.
 *
 *     node examples/hono.ts
 *     curl -i localhost:3000/orders -H 'Authorization: Bearer ada-token' -H 'Idempotency-Key: order-1' \
 *       -H 'Content-Type: application/json' -d '{"item":"tea","credits":30}'
 *     curl -s localhost:3000/orders -H 'Authorization: Bearer ada-token'
 *
 * Send the first as often as you like, and kill the server in between: one order is there, and 30 credits are spent.
 */
import process from 'node:process';
import { serve } from '@hono/node-server';
import { Hono, type Context } from 'hono';
import { openStore } from 'semel/embedded';
import { createOnce } from 'semel/hono';
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

/** What the authenticating middleware leaves for the routes. */
interface ShopEnv {
  Variables: { account: string };
}

const accounts = new Map([['Bearer ada-token', 'ada']]);

const store = await openStore({ directory: process.env['DATA'] ?? './data' });
startReaper(store); // removes results whose retention is over
await store.transact(async (tx) => {
  if ((await tx.get(['credits', 'ada'])) === undefined) tx.set(['credits', 'ada'], 100);
});
const once = createOnce(store, { scope: (c: Context<ShopEnv>) => c.get('account') });

const app = new Hono<ShopEnv>();
app.use(async (c, next) => {
  const account = accounts.get(c.req.header('authorization') ?? '');
  if (account === undefined) return c.json({ error: 'who are you?' }, 401);
  c.set('account', account);
  return next();
});

app.post(
  '/orders',
  once(
    async (request, tx, { c }) => {
      const { item, credits } = (await request.json()) as Order;
      const spent = await tx.add(['credits', c.get('account')], -credits, { min: 0 });
      if (spent.outcome === 'refused') return Response.json({ error: 'not enough credits' }, { status: 402 });
      tx.set(['order', c.get('account'), tx.version], { item, credits });
      return Response.json({ order: tx.version }, { status: 201 });
    },
    { guard: refuseMalformed },
  ),
);

app.get('/orders', async (c) => {
  const view = await store.read(async (tx) => ({
    credits: await tx.get(['credits', c.get('account')]),
    orders: await Array.fromAsync(tx.scan({ prefix: ['order', c.get('account')] }), ({ value }) => value),
  }));
  return Response.json(view);
});

serve({ fetch: app.fetch, port: Number(process.env['PORT'] ?? 3000) }, ({ port }) => {
  console.log(`listening on http://localhost:${port}`);
});
