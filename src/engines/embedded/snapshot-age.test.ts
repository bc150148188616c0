import { expect, test } from 'vitest';
import { SnapshotTooOldError } from '../../kv/errors.ts';
import { ManualWorld } from '../../testing/manual-world.ts';
import { type EmbeddedStore, openStore } from './embedded-store.ts';
import { gatedDisk } from './gated-disk.harness.ts';

/** So many that the store looks for what it could let go of. */
const manyWrites = 40_000;

async function writeMany(store: EmbeddedStore): Promise<void> {
  for (let n = 0; n < manyWrites / 1_000; n++) {
    await store.transact((tx) => {
      for (let key = 0; key < 1_000; key++) tx.set(['k', key], n);
    });
  }
}

test('a long reader holds back only what it sees', async () => {
  const store = await openStore({ world: new ManualWorld() });
  await writeMany(store);
  const held = Promise.withResolvers<void>();
  const reader = store.read(async (tx) => {
    await held.promise;
    return tx.get(['k', 7]);
  });
  for (let round = 0; round < 3; round++) await writeMany(store);
  // 1,000 keys, what the reader sees of each, and some that nobody has looked at yet; 120,000 were written meanwhile.
  expect(store.status().versions).toBeLessThan(1_000 + 1_000 + 20_000);
  held.resolve();
  expect(await reader).toBe(manyWrites / 1_000 - 1);
  await writeMany(store);
  await store.transact((tx) => tx.set(['last'], 1));
  expect(store.status().versions).toBeLessThan(4_000);
  await store.close();
});

test.for([
  ['read', (store: EmbeddedStore, body: (tx: Reading) => Promise<unknown>) => store.read(body)],
  ['transact', (store: EmbeddedStore, body: (tx: Reading) => Promise<unknown>) => store.transact(body)],
  [
    'transact at read-committed, amid a scan,',
    (store: EmbeddedStore, body: (tx: Reading) => Promise<unknown>) =>
      store.transact(body, { isolation: 'read-committed' }),
  ],
] as const)(
  '%s is told that its snapshot is too old when it has held back much for long, and commits nothing',
  async ([, run]) => {
    const world = new ManualWorld();
    const store = await openStore({ world, snapshotAgeMaxMs: 60_000 });
    await writeMany(store);
    const begun = Promise.withResolvers<void>();
    const held = Promise.withResolvers<void>();
    const ended = run(store, async (tx) => {
      const scan = tx.scan({ prefix: ['k'] })[Symbol.asyncIterator]();
      await scan.next();
      tx.set?.(['late'], true);
      begun.resolve();
      await held.promise;
      // A body that hides what it is told must not commit either, unless it has nothing more to do with the snapshot.
      await expect(scan.next()).rejects.toThrow(SnapshotTooOldError);
      throw new Error('gives up');
    }).catch((error: unknown) => error);
    await begun.promise;
    await writeMany(store);
    await world.advance(59_999);
    await writeMany(store);
    await world.advance(1);
    held.resolve();
    expect(await ended).toMatchObject({ message: 'gives up' });
    expect(await store.read((tx) => tx.get(['late']))).toBeUndefined();
    await store.close();
  },
);

test('transact does not commit on a snapshot that is too old, whatever its body makes of that', async () => {
  const world = new ManualWorld();
  const store = await openStore({ world, snapshotAgeMaxMs: 60_000 });
  await writeMany(store);
  const begun = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  const ended = store.transact(async (tx) => {
    await tx.get(['other']);
    tx.set(['late'], true);
    begun.resolve();
    await held.promise;
  });
  await begun.promise;
  await writeMany(store);
  await world.advance(60_000);
  held.resolve();
  await expect(ended).rejects.toMatchObject({ code: 'snapshot-too-old', effect: 'did-not-happen', ageMaxMs: 60_000 });
  expect(await store.read((tx) => tx.get(['late']))).toBeUndefined();
  await store.close();
});

test('a reader that holds back little may take its time', async () => {
  const world = new ManualWorld();
  const store = await openStore({ world, snapshotAgeMaxMs: 60_000 });
  await store.transact((tx) => tx.set(['k'], 1));
  const held = Promise.withResolvers<void>();
  const reader = store.read(async (tx) => {
    await held.promise;
    return tx.get(['k']);
  });
  await store.transact((tx) => tx.set(['k'], 2));
  await world.advance(600_000);
  held.resolve();
  expect(await reader).toBe(1);
  expect(world.timers).toBe(0);
  await store.close();
});

test('each of several readers is ended when its time is over, and no timer is left', async () => {
  const world = new ManualWorld();
  const store = await openStore({ world, snapshotAgeMaxMs: 60_000 });
  await writeMany(store);
  const held = Promise.withResolvers<void>();
  const readers: Promise<unknown>[] = [];
  for (let reader = 0; reader < 4; reader++) {
    readers.push(store.read((tx) => held.promise.then(() => tx.get(['k', 1]))).catch((error: unknown) => error));
    await writeMany(store);
  }
  await world.advance(60_000);
  await world.advance(60_000);
  await store.transact((tx) => tx.set(['last'], 1));
  held.resolve();
  for (const ended of await Promise.all(readers)) expect(ended).toBeInstanceOf(SnapshotTooOldError);
  await store.close();
  expect(world.timers).toBe(0);
});

test('no timer is left where closing finds that much is held back', async () => {
  const world = new ManualWorld();
  const { disk, close, open } = gatedDisk();
  const store = await openStore({ disk, world, durability: 'visible' });
  await store.transact((tx) => tx.set(['k', 0], 0), { durability: 'durable' });
  const stuck = store.read(() => new Promise(() => undefined)).catch(() => undefined);
  close();
  await writeMany(store);
  const closed = store.close({ signal: AbortSignal.abort() });
  open();
  await Promise.all([closed, stuck]);
  expect(world.timers).toBe(0);
});

interface Reading {
  scan(range: { prefix: readonly string[] }): AsyncIterable<unknown>;
  set?(key: readonly string[], value: boolean): void;
}
