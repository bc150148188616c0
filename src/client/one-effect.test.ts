import Fastify from 'fastify';
import { createFetch, type ClientOptions, type OperationUnknownError } from 'semel/client';
import { openStore } from 'semel/embedded';
import { createOnce } from 'semel/fastify';
import { createOperations } from 'semel/operations';
import { expect, onTestFinished, test } from 'vitest';
import { FaultyServer, forward, loseAnswer, reset, type Reaction } from '../testing/faulty-server.harness.ts';
import { SkippingEnvironment } from '../testing/skipping-environment.harness.ts';

/** A shop on a store in memory that takes orders once, and settles them; before it a proxy that fails as it is told. */
async function shop() {
  const store = await openStore();
  const app = Fastify();
  const once = createOnce(store, { scope: () => 'shop' });
  app.register(
    once({
      method: 'POST',
      url: '/orders',
      async handler(request, tx) {
        await tx.add(['orders'], 1);
        return Response.json({ ordered: await request.json() }, { status: 201 });
      },
    }),
  );
  const operations = createOperations(store);
  app.post<{ Params: { key: string } }>('/operations/:key/cancel', (request) =>
    operations.cancel('shop', request.params.key),
  );
  const origin = await app.listen({ port: 0 });
  onTestFinished(async () => {
    await app.close();
    await store.close();
  });
  return {
    origin,
    ordered: () => store.read((tx) => tx.get(['orders'])),
    async behind(reactions: readonly Reaction[], options: ClientOptions = {}) {
      const proxy = await FaultyServer.start(...reactions);
      onTestFinished(() => proxy.stop());
      const environment = new SkippingEnvironment();
      const send = createFetch({ environment, operations: `${proxy.url}/operations`, ...options });
      const order = (item: number) =>
        send(`${proxy.url}/orders`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify({ item }),
        });
      return { proxy, send, order };
    },
  };
}

test('createFetch and createOnce make one effect of a request whose answers get lost, and the replay reaches the caller', async () => {
  const { origin, ordered, behind } = await shop();
  const { proxy, order } = await behind([loseAnswer(origin), loseAnswer(origin, 'half'), reset, forward(origin)]);
  const response = await order(7);
  expect([response.status, await response.json()]).toEqual([201, { ordered: { item: 7 } }]);
  expect(response.headers.get('idempotency-outcome')).toBe('replayed');
  expect(proxy.received).toHaveLength(4);
  expect(await ordered()).toBe(1);
});

test.for([1, 2, 3, 4])(
  'createFetch and createOnce make one effect each of 40 orders over a line that loses three answers in five, seed %i',
  async (seed) => {
    const random = randomOf(seed);
    const { origin, ordered, behind } = await shop();
    const faults = [reset, loseAnswer(origin), loseAnswer(origin, 'half'), forward(origin), forward(origin)];
    const reactions = Array.from({ length: 200 }, () => faults[Math.floor(random() * faults.length)] ?? reset);
    const unlimited = { attemptsMax: 100, budget: { reserve: 1_000 } };
    const { order } = await behind([...reactions, forward(origin)], unlimited);
    const responses = await Promise.all(Array.from({ length: 40 }, (_nothing, item) => order(item)));
    const answers = await Promise.all(responses.map((response) => response.json()));
    expect(answers).toEqual(Array.from({ length: 40 }, (_nothing, item) => ({ ordered: { item } })));
    expect(await ordered()).toBe(40);
  },
);

test('settle tells of an order whose answers were all lost that it is complete', async () => {
  const { origin, ordered, behind } = await shop();
  const { send, order } = await behind([loseAnswer(origin), loseAnswer(origin), forward(origin)], { attemptsMax: 2 });
  const error = (await order(7).catch((error: unknown) => error)) as OperationUnknownError;
  expect(error).toMatchObject({ code: 'unknown', effect: 'unknown', attempts: 2 });
  expect(await send.settle(error.key)).toMatchObject({ state: 'complete' });
  expect(await ordered()).toBe(1);
});

test('settle makes sure of an order that never arrived that it never takes effect, however late it comes', async () => {
  const { origin, ordered, behind } = await shop();
  const { send, order, proxy } = await behind([reset, reset, forward(origin)], { attemptsMax: 2 });
  const error = (await order(7).catch((error: unknown) => error)) as OperationUnknownError;
  expect(await send.settle(error.key)).toEqual({ state: 'cancelled' });
  const late = await send(`${proxy.url}/orders`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': error.key },
    body: '{"item":7}',
  });
  expect(late.status).toBe(409);
  expect(await late.json()).toMatchObject({ type: 'https://semel.dev/problems/cancelled' });
  expect(await ordered()).toBeUndefined();
});

/** Numerical Recipes' generator: enough to pick faults. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
