/**
 * Orders that are paid in credits, once each, as a function from Request to Response, here on node:http.
 *
 *     node examples/fetch-handler.ts
 *     curl -i localhost:3000/orders -H 'Authorization: Bearer ada-token' -H 'Idempotency-Key: order-1' \
 *       -H 'Content-Type: application/json' -d '{"item":"tea","credits":30}'
 *     curl -s localhost:3000/orders -H 'Authorization: Bearer ada-token'
 *
 * Send the first as often as you like, and kill the server in between: one order is there, and 30 credits are spent.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import process from 'node:process';
import { Readable } from 'node:stream';
import { openStore } from 'semel/embedded';
import { createOnce } from 'semel/http';
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
const accountOf = (request: Request) => accounts.get(request.headers.get('authorization') ?? '') ?? '';

const store = await openStore({ directory: process.env['DATA'] ?? './data' });
startReaper(store); // removes results whose retention is over
await store.transact(async (tx) => {
  if ((await tx.get(['credits', 'ada'])) === undefined) tx.set(['credits', 'ada'], 100);
});
const once = createOnce(store, { scope: accountOf });

const placeOrder = once(
  async (request, tx) => {
    const { item, credits } = (await request.json()) as Order;
    const spent = await tx.add(['credits', accountOf(request)], -credits, { min: 0 });
    if (spent.outcome === 'refused') return Response.json({ error: 'not enough credits' }, { status: 402 });
    tx.set(['order', accountOf(request), tx.version], { item, credits });
    return Response.json({ order: tx.version }, { status: 201 });
  },
  { guard: refuseMalformed },
);

async function listOrders(request: Request): Promise<Response> {
  const view = await store.read(async (tx) => ({
    credits: await tx.get(['credits', accountOf(request)]),
    orders: await Array.fromAsync(tx.scan({ prefix: ['order', accountOf(request)] }), ({ value }) => value),
  }));
  return Response.json(view);
}

async function answer(request: Request): Promise<Response> {
  if (accountOf(request) === '') return Response.json({ error: 'who are you?' }, { status: 401 });
  const route = `${request.method} ${new URL(request.url).pathname}`;
  if (route === 'POST /orders') return placeOrder(request);
  if (route === 'GET /orders') return listOrders(request);
  return Response.json({ error: 'no such thing' }, { status: 404 });
}

// From here on it is what a platform for fetch handlers does by itself.
async function respond(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const { method = 'GET', url = '/', headers } = incoming;
  const init = {
    method,
    headers: Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]),
    ...(method === 'GET' || method === 'HEAD' ? {} : { body: Readable.toWeb(incoming), duplex: 'half' as const }),
  };
  const response = await answer(new Request(new URL(url, `http://${headers.host}`), init));
  outgoing.writeHead(response.status, [...response.headers].flat());
  outgoing.end(Buffer.from(await response.arrayBuffer()));
}

const port = Number(process.env['PORT'] ?? 3000);
createServer((incoming, outgoing) => {
  respond(incoming, outgoing).catch((error: unknown) => {
    console.error(error);
    outgoing.writeHead(500).end();
  });
}).listen(port, () => console.log(`listening on http://localhost:${port}`));
