import { DeadlineExceededError, type Transaction } from 'semel';
import { openStore, type EmbeddedStore } from 'semel/embedded';
import { createOnce, type Handler, type RouteOptions } from 'semel/http';
import { beforeEach, describe, expect, test } from 'vitest';
import { ManualWorld, turn, until } from '../testing/manual-world.ts';
import { passingBytesMax } from './route.ts';

let world: ManualWorld;
let store: EmbeddedStore;
/** What each execution waits for, in the order of the executions. */
let gates: PromiseWithResolvers<Response>[];

beforeEach(async () => {
  world = new ManualWorld();
  store = await openStore({ world });
  gates = [];
});

/** Runs until its gate opens, and answers what the gate says. */
const gated: Handler<Transaction, void> = async (_request, tx) => {
  const gate = Promise.withResolvers<Response>();
  gates.push(gate);
  await tx.add(['executions'], 1);
  return gate.promise;
};

function routeWith(options: RouteOptions<void> = {}) {
  const once = createOnce(store, { world, scope: () => 'one' });
  const handle = once(gated, options);
  const send = (body = 'x'): Promise<Response> =>
    handle(new Request('http://bank.example/', { method: 'POST', headers: { 'idempotency-key': 'k' }, body }));
  return { send, operations: once.operations };
}

function outcomeOf(response: Response): string | null {
  return response.headers.get('idempotency-outcome');
}

async function typeOf(response: Response): Promise<unknown> {
  const document: unknown = await response.json();
  return typeof document === 'object' && document !== null && 'type' in document ? document.type : undefined;
}

describe('a duplicate in flight', () => {
  test('a duplicate in flight waits for the result and gets it as a replay', async () => {
    const { send, operations } = routeWith();
    const owner = send();
    await until(() => gates.length === 1);
    const waiter = send();
    await until(() => operations.waiting === 1);
    gates[0]?.resolve(new Response('done'));
    expect([outcomeOf(await owner), outcomeOf(await waiter)]).toEqual(['executed', 'replayed']);
    expect((await waiter).headers.get('idempotent-replayed')).toBe('true');
    expect(await (await waiter).text()).toBe('done');
    expect(gates).toHaveLength(1);
  });

  test('a duplicate in flight that waited long enough gets 409 with Retry-After, and its retry the result (defect 2: it was stored)', async () => {
    const { send, operations } = routeWith({ waitMs: 2_000 });
    const owner = send();
    await until(() => gates.length === 1);
    const waiter = send();
    await until(() => operations.waiting === 1);
    await world.advance(2_000);
    const response = await waiter;
    expect([response.status, outcomeOf(response), response.headers.get('retry-after')]).toEqual([
      409,
      'in-progress',
      '1',
    ]);
    expect(response.headers.has('idempotent-replayed')).toBe(false);
    expect(await typeOf(response)).toBe('https://semel.dev/problems/in-progress');
    gates[0]?.resolve(new Response('done'));
    await owner;
    const retry = await send();
    expect([retry.status, outcomeOf(retry), await retry.text()]).toEqual([200, 'replayed', 'done']);
  });

  test("a duplicate in flight gets 409 at once with onDuplicate: 'refuse'", async () => {
    const { send } = routeWith({ onDuplicate: 'refuse' });
    const owner = send();
    await until(() => gates.length === 1);
    expect((await send()).status).toBe(409);
    gates[0]?.resolve(new Response('done'));
    expect((await owner).status).toBe(200);
  });

  test("a duplicate in flight is told where to ask with onDuplicate: 'accept'", async () => {
    const { send } = routeWith({ onDuplicate: 'accept', operationUrl: (key) => `/operations/${key}` });
    const owner = send();
    await until(() => gates.length === 1);
    const accepted = await send();
    expect([accepted.status, outcomeOf(accepted)]).toEqual([202, 'in-progress']);
    expect(accepted.headers.get('location')).toBe('/operations/k');
    expect(accepted.headers.get('retry-after')).toBe('1');
    expect(await accepted.json()).toEqual({ operation: '/operations/k' });
    gates[0]?.resolve(new Response('done'));
    expect((await owner).status).toBe(200);
  });

  test('a duplicate in flight with another payload gets 409 at once, whatever the route chose', async () => {
    const { send } = routeWith();
    const owner = send();
    await until(() => gates.length === 1);
    expect(outcomeOf(await send('y'))).toBe('mismatch');
    gates[0]?.resolve(new Response('done'));
    expect(outcomeOf(await owner)).toBe('executed');
  });

  test('a duplicate in flight executes when its owner leaves nothing, and exactly one does', async () => {
    const { send, operations } = routeWith();
    const owner = send();
    await until(() => gates.length === 1);
    const waiters = [send(), send(), send()];
    await until(() => operations.waiting === 3);
    gates[0]?.resolve(new Response('not today', { status: 500 }));
    const failed = await owner;
    expect([failed.status, outcomeOf(failed), failed.headers.has('idempotency-expires')]).toEqual([
      500,
      'refused',
      false,
    ]);
    await until(() => gates.length === 2);
    gates[1]?.resolve(new Response('done'));
    const outcomes = (await Promise.all(waiters)).map(outcomeOf);
    expect(outcomes.filter((outcome) => outcome === 'executed')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === 'replayed')).toHaveLength(2);
    expect(await store.read((tx) => tx.get(['executions']))).toBe(1);
  });

  test('duplicates beyond the bound of waiters get 503, and the one in flight goes on', async () => {
    const once = createOnce(store, { world, scope: () => 'one', waitersMax: 0 });
    const handle = once(gated);
    const send = (): Promise<Response> =>
      handle(new Request('http://bank.example/', { method: 'POST', headers: { 'idempotency-key': 'k' }, body: 'x' }));
    const owner = send();
    await until(() => gates.length === 1);
    const response = await send();
    expect([response.status, outcomeOf(response)]).toEqual([503, 'refused']);
    expect(await typeOf(response)).toBe('https://semel.dev/problems/overloaded');
    gates[0]?.resolve(new Response('done'));
    expect(outcomeOf(await owner)).toBe('executed');
  });
});

describe('an execution past its deadline', () => {
  test('an execution past its deadline answers 503, is fenced, and a retry executes (defect 12: the key was lost for ever)', async () => {
    const { send } = routeWith({ deadlineMs: 30_000 });
    const late = send();
    await until(() => gates.length === 1);
    await world.advance(30_000);
    const response = await late;
    expect([response.status, outcomeOf(response), response.headers.get('retry-after')]).toEqual([503, 'refused', '1']);
    expect(await typeOf(response)).toBe('https://semel.dev/problems/deadline-exceeded');

    const retry = send();
    await until(() => gates.length === 2);
    // The first execution ends at last. Its transaction is over, and what it answers is nobody's any more.
    gates[0]?.resolve(new Response('too late'));
    gates[1]?.resolve(new Response('in time'));
    expect(await (await retry).text()).toBe('in time');
    expect(await store.read((tx) => tx.get(['executions']))).toBe(1);
  });

  test('an execution past its deadline answers 503 where there is no key, too', async () => {
    const handle = createOnce(store, { world, scope: () => 'one', deadlineMs: 1_000 })(gated, { key: 'optional' });
    const late = handle(new Request('http://bank.example/', { method: 'POST', body: 'x' }));
    await until(() => gates.length === 1);
    await world.advance(1_000);
    const response = await late;
    expect([response.status, outcomeOf(response)]).toEqual([503, null]);
    expect(await typeOf(response)).toBe('https://semel.dev/problems/deadline-exceeded');
  });

  test.each(['k', undefined])(
    'an execution past its deadline has its response’s stream cancelled, with the key %s',
    async (key) => {
      const cancelled: unknown[] = [];
      let pulled = 0;
      const stalled = new ReadableStream({
        pull(controller) {
          pulled += 1;
          if (pulled === 1) controller.enqueue(Uint8Array.of(1));
          return pulled === 1 ? undefined : new Promise(() => undefined);
        },
        cancel: (reason) => void cancelled.push(reason),
      });
      const once = createOnce(store, { world, scope: () => 'one', deadlineMs: 1_000 });
      const late = once(() => new Response(stalled), { key: 'optional' })(request(key));
      await until(() => pulled === 2);
      await world.advance(1_000);
      expect((await late).status).toBe(503);
      expect(cancelled).toHaveLength(1);
    },
  );

  test.each(['k', undefined])(
    'an execution past its deadline in another store is the handler’s own fault, with the key %s',
    async (key) => {
      const fault = new DeadlineExceededError(10);
      const failing: Handler<Transaction, void> = () => {
        throw fault;
      };
      const handle = createOnce(store, { world, scope: () => 'one' })(failing, { key: 'optional' });
      await expect(handle(request(key))).rejects.toBe(fault);
    },
  );

  test('an execution past its deadline is told so in the midst of a stream of small chunks that are all there, and reads no further', async () => {
    let pulled = 0;
    const flood = new ReadableStream({
      pull(controller) {
        pulled += 1;
        controller.enqueue(new Uint8Array(100));
      },
    });
    const handle = createOnce(store, { world, scope: () => 'one', deadlineMs: 1_000 })(() => new Response(flood));
    const late = handle(request('k'));
    await until(() => pulled > 0);
    await world.advance(1_000);
    expect((await late).status).toBe(503);
    const pulledThen = pulled;
    await turn();
    expect(pulled).toBe(pulledThen);
    expect(pulled * 100).toBeLessThan(passingBytesMax / 2);
  });
});

function request(key: string | undefined): Request {
  const headers: Record<string, string> = key === undefined ? {} : { 'idempotency-key': key };
  return new Request('http://bank.example/', { method: 'POST', headers, body: 'x' });
}
