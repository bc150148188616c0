import { describe, expect, test } from 'vitest';
import { ConflictError, LimitExceededError } from '../../kv/errors.ts';
import { limits } from '../../kv/limits.ts';
import type { Transaction } from '../../kv/store.ts';
import type { Value } from '../../kv/value.ts';
import { realWorld } from '../../kv/world.ts';
import type { StoreCapabilities } from './store-capabilities.ts';
import { begin } from './session.ts';
import { faultOf, keysOf, look, type OpenStore, put } from './shorthand.ts';

const key = ['k'];

export function limitContract(open: OpenStore, supports: StoreCapabilities): void {
  describe('limits', () => {
    keysAndValues(open);
    transactions(open);
    additions(open);
    waiters(open);
    if (supports.injectedWorld) attempts(open);
  });
}

function keysAndValues(open: OpenStore): void {
  // A string in a key costs two bytes beside its own.
  const longest = ['k'.repeat(limits.keyBytesMax - 2)];
  const tooLong = ['k'.repeat(limits.keyBytesMax - 1)];

  test.each<[string, (tx: Transaction) => unknown]>([
    ['get', (tx) => tx.get(tooLong)],
    ['scan', (tx) => keysOf(tx, { prefix: tooLong })],
    ['set', (tx) => tx.set(tooLong, 1)],
    ['delete', (tx) => tx.delete(tooLong)],
    ['add', (tx) => tx.add(tooLong, 1)],
    ['lock', (tx) => tx.lock(tooLong)],
  ])('%s refuses a key of more than keyBytesMax, and changes nothing', async (_, use) => {
    const store = await open();
    await store.transact(async (tx) => {
      const fault = await faultOf(LimitExceededError, () => use(tx));
      expect([fault.limit, fault.maximum, fault.found]).toEqual([
        'keyBytesMax',
        limits.keyBytesMax,
        limits.keyBytesMax + 1,
      ]);
      tx.set(longest, 'fits');
    });
    expect(await store.read((tx) => keysOf(tx, {}))).toEqual([longest]);
  });

  const largest = 'v'.repeat(limits.valueBytesMax - 100);

  test.each<[string, Value, 'valueBytesMax' | 'valueDepthMax']>([
    ['valueBytesMax, as text', 'v'.repeat(limits.valueBytesMax + 1), 'valueBytesMax'],
    ['valueBytesMax, as bytes', new Uint8Array(limits.valueBytesMax + 1), 'valueBytesMax'],
    ['valueBytesMax, in sum', [largest, largest], 'valueBytesMax'],
    ['valueDepthMax', nested(limits.valueDepthMax + 1), 'valueDepthMax'],
  ])('set refuses a value beyond %s, and changes nothing', async (_, value, limit) => {
    const store = await open();
    await put(store, key, 'before');
    await store.transact(async (tx) => {
      const fault = await faultOf(LimitExceededError, () => tx.set(key, value));
      expect([fault.limit, fault.maximum]).toEqual([limit, limits[limit]]);
      expect(fault.found).toBeGreaterThan(limits[limit]);
      expect(await tx.get(key)).toBe('before');
      tx.set(['large'], largest);
      tx.set(['deep'], nested(limits.valueDepthMax));
    });
    expect(await store.read((tx) => tx.getMany([key, ['large'], ['deep']]))).toEqual([
      'before',
      largest,
      nested(limits.valueDepthMax),
    ]);
  });
}

function nested(levels: number): Value {
  let value: Value = 'leaf';
  for (let level = 0; level < levels; level++) value = [value];
  return value;
}

function transactions(open: OpenStore): void {
  test('transact takes transactionWritesMax keys; the same key again is no other', async () => {
    const store = await open();
    await store.transact((tx) => {
      for (let number = 0; number < limits.transactionWritesMax; number++) tx.set([number], 1);
      tx.set([0], 2);
      tx.delete([1]);
    });
    expect(await look(store, [0])).toBe(2);
  });

  test('transact refuses more than transactionWritesMax keys, and changes nothing', async () => {
    const store = await open();
    const fault = await faultOf(
      LimitExceededError,
      store.transact((tx) => {
        for (let number = 0; number <= limits.transactionWritesMax; number++) tx.set([number], 1);
      }),
    );
    expect([fault.limit, fault.maximum, fault.found]).toEqual([
      'transactionWritesMax',
      limits.transactionWritesMax,
      limits.transactionWritesMax + 1,
    ]);
    expect(await store.read((tx) => keysOf(tx, {}, { limit: 1 }))).toEqual([]);
  });

  test('transact refuses writes of more than transactionBytesMax, and changes nothing', async () => {
    const store = await open();
    const value = 'v'.repeat(1_000_000);
    const fitting = Math.floor(limits.transactionBytesMax / 1_001_000);
    const write = (count: number): Promise<void> =>
      store.transact((tx) => {
        for (let number = 0; number < count; number++) tx.set([number], value);
      });
    const fault = await faultOf(LimitExceededError, write(fitting + 2));
    expect([fault.limit, fault.maximum]).toEqual(['transactionBytesMax', limits.transactionBytesMax]);
    expect(fault.found).toBeGreaterThan(limits.transactionBytesMax);
    expect(await store.read((tx) => keysOf(tx, {}))).toEqual([]);
    await write(fitting);
    expect(await store.read((tx) => keysOf(tx, {}))).toHaveLength(fitting);
  });
}

function additions(open: OpenStore): void {
  test('add refuses more than additionsMax additions to one key, and the others may still commit', async () => {
    const store = await open();
    await store.transact(async (tx) => {
      for (let number = 0; number < limits.additionsMax; number++) await tx.add(key, 1);
      const fault = await faultOf(LimitExceededError, tx.add(key, 1));
      expect([fault.limit, fault.maximum]).toEqual(['additionsMax', limits.additionsMax]);
    });
    expect(await look(store, key)).toBe(limits.additionsMax);
  });
}

function waiters(open: OpenStore): void {
  test('lock counts transactions that wait, not locks: a commit of many keys behind a lock is one', async () => {
    const store = await open();
    const holder = await begin(store);
    await holder.tx.lock({ prefix: key });
    const commit = store.transact((tx) => {
      for (let number = 0; number < limits.transactionWritesMax; number++) tx.set([...key, number], 1);
    });
    const lock = store.transact((tx) => tx.lock(key));
    await holder.commit();
    await Promise.all([commit, lock]);
    expect(await look(store, [...key, 0])).toBe(1);
  });

  test('lock refuses to be the one that waits beyond lockWaitersMax', async () => {
    const store = await open();
    const holder = await begin(store);
    await holder.tx.lock({ prefix: key });
    const impatience = new AbortController();
    const { signal } = impatience;
    const wait = (number: number): Promise<void> => store.transact((tx) => tx.lock([...key, number]), { signal });
    const waiting = Array.from({ length: limits.lockWaitersMax }, (_, number) => wait(number));
    const fault = await faultOf(LimitExceededError, wait(-1));
    expect([fault.limit, fault.maximum]).toEqual(['lockWaitersMax', limits.lockWaitersMax]);
    impatience.abort();
    for (const { status } of await Promise.allSettled(waiting)) expect(status).toBe('rejected');
    await holder.commit();
    await store.transact((tx) => tx.lock({ prefix: key }, { timeoutMs: 0 }));
  });
}

function attempts(open: OpenStore): void {
  test('transact runs a body attemptsMax times unless told otherwise', async () => {
    // Without jitter there are no pauses, so that nothing is waited for.
    const store = await open({ ...realWorld, random: () => 0 });
    let runs = 0;
    const unlucky = store.transact(async (tx) => {
      const contended = ['contended', ++runs];
      await tx.get(contended);
      await put(store, contended, true);
      tx.set(key, runs);
    });
    expect((await faultOf(ConflictError, unlucky)).keys).toEqual([['contended', limits.attemptsMax]]);
    expect(runs).toBe(limits.attemptsMax);
  });
}
