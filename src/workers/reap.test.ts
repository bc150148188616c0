import { afterEach, beforeEach, expect, test } from 'vitest';
import { InvalidArgumentError, type Store } from 'semel';
import { openStore, type EmbeddedStore } from 'semel/embedded';
import { fingerprint } from 'semel/idempotency';
import { createOperations, type Identity, type Operations, type Outcome } from 'semel/operations';
import { startReaper, type Reaper, type ReaperEvent, type ReaperOptions } from 'semel/workers';
import { ManualWorld, turn, until } from '../testing/manual-world.ts';

let world: ManualWorld;
let store: EmbeddedStore;
let operations: Operations;
let events: ReaperEvent[];
let reaper: Reaper | undefined;

beforeEach(async () => {
  world = new ManualWorld();
  store = await openStore({ world });
  operations = createOperations(store, { world, retentionMs: 1_000, tombstoneMs: 500 });
  events = [];
});

afterEach(async () => {
  await reaper?.stop();
  reaper = undefined;
  await store.close();
});

test('startReaper empties the store of what is past in batches, then pauses', async () => {
  for (let number = 0; number < 25; number++) await run(number);
  await world.advance(1_500);
  reaper = start({ batchSize: 10 });
  await until(() => world.timers === 1);
  expect(events).toMatchObject([{ erased: 10 }, { erased: 10 }, { erased: 5, more: false }]);
  expect(await entries()).toBe(0);
});

test('startReaper comes again after its pause', async () => {
  await run(1);
  reaper = start({ pauseMs: 700 });
  await until(() => world.timers === 1);
  await world.advance(699);
  expect(events).toHaveLength(1);
  await world.advance(1);
  await until(() => events.length === 2 && world.timers === 1);
  await world.advance(700);
  await until(() => events.length === 3 && world.timers === 1);
  expect(events).toMatchObject([{ expired: 0 }, { expired: 0 }, { expired: 1 }]);
});

test('startReaper goes on when its observer throws, be it of a failure', async () => {
  let told = 0;
  const onEvent = (): void => {
    told += 1;
    throw new Error('of an observer');
  };
  await run(1);
  await world.advance(1_500);
  reaper = start({ pauseMs: 700, onEvent });
  await until(() => world.timers === 1);
  await world.advance(700);
  await until(() => told === 2 && world.timers === 1);
  expect(await entries()).toBe(0);
});

test('startReaper lets others run between its batches, and spares what is used meanwhile', async () => {
  for (let number = 0; number < 200; number++) await run(number);
  await world.advance(1_000);
  reaper = start({ batchSize: 10 });
  // Every key is asked for again while the batches run: nobody is refused for another reason than the expiry,
  // nothing executes twice, and new operations go on.
  const outcomes: Outcome[] = [];
  for (let number = 0; number < 200; number++) {
    const [old, fresh] = await Promise.all([run(number), run(1_000 + number)]);
    outcomes.push(old, fresh);
  }
  await until(() => events.some((event) => event.type === 'reaped' && !event.more));
  expect(new Set(outcomes.map(({ outcome }) => outcome))).toEqual(new Set(['expired', 'executed']));
  expect(outcomes.filter(({ outcome }) => outcome === 'executed')).toHaveLength(200);
  expect(events.filter(({ type }) => type === 'failed')).toEqual([]);
  expect(await run(1_000)).toMatchObject({ outcome: 'replayed' });
});

test('startReaper lives on after a failure, and tells of it', async () => {
  const fault = new Error('the store has a bad day');
  await run(1);
  await world.advance(1_000);
  reaper = startReaper(failingOnce(store, fault), { world, onEvent: (event) => events.push(event), pauseMs: 10 });
  await until(() => world.timers === 1);
  expect(events).toEqual([{ type: 'failed', error: fault }]);
  await world.advance(10);
  await until(() => events.length === 2);
  expect(events[1]).toMatchObject({ type: 'reaped', expired: 1 });
});

test('startReaper stops between two batches, by stop or by its signal, and for good', async () => {
  for (let number = 0; number < 30; number++) await run(number);
  await world.advance(1_500);
  const stopping = new AbortController();
  const first = start({ batchSize: 1, signal: stopping.signal });
  await until(() => events.length > 2);
  stopping.abort();
  await first.stop();
  const count = events.length;
  expect(count).toBeLessThan(30);
  await world.advance(60_000);
  expect(events).toHaveLength(count);
  expect(world.timers).toBe(0);
  const pausing = start({ batchSize: 100 });
  await until(() => world.timers === 1);
  await pausing.stop();
  expect(world.timers).toBe(0);
});

test('startReaper ends when its store is closed', async () => {
  reaper = start({ pauseMs: 10 });
  await until(() => world.timers === 1);
  await store.close();
  await world.advance(10);
  await turn();
  expect([events.filter(({ type }) => type === 'failed').length, world.timers]).toEqual([0, 0]);
});

test.each([[{ batchSize: 0 }], [{ batchSize: 1_001 }], [{ pauseMs: 0 }], [{ pauseMs: Infinity }]])(
  'startReaper refuses %o',
  (options) => {
    expect(() => start(options)).toThrow(InvalidArgumentError);
  },
);

function start(options: ReaperOptions): Reaper {
  return startReaper(store, { world, onEvent: (event) => events.push(event), ...options });
}

function run(number: number): Promise<Outcome> {
  const parts = { method: 'POST', path: '/', query: [], mediaType: undefined, body: new Uint8Array() };
  const identity: Identity = { scope: 'acme', key: `k${number}`, fingerprint: fingerprint(parts) };
  return operations.run(identity, async () => ({ keep: 'all', result: number }));
}

function entries(): Promise<number> {
  return store.read(async (tx) => {
    let count = 0;
    for await (const _ of tx.scan({})) count += 1;
    return count;
  });
}

/** The same store, whose first transaction fails. */
function failingOnce(inner: Store, fault: Error): Store {
  let failed = false;
  return {
    isRemote: inner.isRemote,
    transact: (body, options) => {
      if (failed) return inner.transact(body, options);
      failed = true;
      return Promise.reject(fault);
    },
    read: (body, options) => inner.read(body, options),
    close: () => inner.close(),
  };
}
