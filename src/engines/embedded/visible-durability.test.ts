import { expect, test } from 'vitest';
import type { Transaction } from '../../kv/store.ts';
import { ManualWorld } from '../../testing/manual-world.ts';
import { SimulatedDisk } from '../../testing/simulated-disk.ts';
import { openStore } from './embedded-store.ts';
import { gatedDisk, isSettled } from './gated-disk.harness.ts';

const value = (tx: Pick<Transaction, 'get'>) => tx.get(['k']);

test('transact at `visible` answers without waiting for the disk, and read sees it at once only at `visible`', async () => {
  const { disk, close, open, syncing } = gatedDisk();
  const store = await openStore({ disk, world: new ManualWorld() });
  await store.transact((tx) => tx.set(['k'], 'old'));
  close();
  await store.transact((tx) => tx.set(['k'], 'new'), { durability: 'visible' });
  await syncing();
  expect(await store.read(value)).toBe('old');
  expect(await store.read(value, { durability: 'visible' })).toBe('new');
  const durable = store.transact(value);
  expect(await isSettled(durable)).toBe(false);
  expect(await store.transact(value, { durability: 'visible' })).toBe('new');
  await expect(
    store.transact(
      async (tx) => {
        await value(tx);
        throw new Error('refused');
      },
      { durability: 'visible' },
    ),
  ).rejects.toThrow('refused');
  open();
  expect(await durable).toBe('new');
  expect(await store.read(value)).toBe('new');
  await store.close();
});

test('openStore with `visible` makes that the default, which a call can override', async () => {
  const { disk, close, open } = gatedDisk();
  const store = await openStore({ disk, world: new ManualWorld(), durability: 'visible' });
  close();
  await store.transact((tx) => tx.set(['k'], 'new'));
  expect(await store.read(value)).toBe('new');
  expect(await store.read(value, { durability: 'durable' })).toBeUndefined();
  const durable = store.transact((tx) => tx.set(['other'], 1), { durability: 'durable' });
  expect(await isSettled(durable)).toBe(false);
  open();
  await durable;
  expect(await store.read(value, { durability: 'durable' })).toBe('new');
  await store.close();
});

test('a crash loses of what was `visible` the end alone, and nothing before something durable', async () => {
  let lost = 0;
  for (let seed = 1; seed <= 40; seed++) {
    const disk = new SimulatedDisk({ seed });
    const store = await openStore({ disk, world: new ManualWorld(), durability: 'visible' });
    const count = 10 + (seed % 7);
    for (let n = 0; n < count; n++) {
      await store.transact((tx) => tx.set(['k', n], n), { durability: n === 5 ? 'durable' : 'visible' });
    }
    const reopened = await openStore({ disk: disk.crash(), world: new ManualWorld() });
    const found = await reopened.read((tx) => Array.fromAsync(tx.scan({ prefix: ['k'] }), (entry) => entry.value));
    expect(found, `seed ${seed}`).toEqual(Array.from({ length: found.length }, (_, n) => n));
    expect(found.length, `seed ${seed}`).toBeGreaterThan(5);
    lost += count - found.length;
    await reopened.close();
  }
  expect(lost).toBeGreaterThan(0);
});

test('closing makes durable what was `visible`', async () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const store = await openStore({ disk, world: new ManualWorld(), durability: 'visible' });
  await store.transact((tx) => tx.set(['k'], 'kept'));
  await store.close();
  const reopened = await openStore({ disk: disk.crash(), world: new ManualWorld() });
  expect(await reopened.read(value)).toBe('kept');
  await reopened.close();
});

test('after a failed sync nothing is `visible` that was not durable, and no rejection goes unheard', async () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const store = await openStore({ disk, world: new ManualWorld() });
  await store.transact((tx) => tx.set(['k'], 'durable'));
  disk.failSync(disk.syncs + 1);
  await store.transact((tx) => tx.set(['k'], 'lost'), { durability: 'visible' });
  await expect(store.transact((tx) => tx.set(['other'], 1))).rejects.toMatchObject({ code: 'commit-unknown' });
  expect(await store.read(value, { durability: 'visible' })).toBe('durable');
  await expect(store.transact(value, { durability: 'visible' })).rejects.toMatchObject({ code: 'poisoned' });
  await store.close();
});

test.for([
  [
    'transact',
    (store: Awaited<ReturnType<typeof openStore>>) => store.transact(value, { durability: 'sometimes' as 'durable' }),
  ],
  [
    'read',
    async (store: Awaited<ReturnType<typeof openStore>>) => store.read(value, { durability: 'sometimes' as 'durable' }),
  ],
  ['openStore', () => openStore({ durability: 'sometimes' as 'durable' })],
] as const)('%s refuses a durability that it does not know', async ([, act]) => {
  const store = await openStore();
  await expect(act(store)).rejects.toMatchObject({ code: 'invalid-argument', field: 'durability' });
  await store.close();
});

test.for(['checkpointBytes', 'segmentBytes', 'snapshotAgeMaxMs'] as const)(
  'openStore refuses %s that is no number of them',
  async (field) => {
    for (const bad of [0, -1, 1.5, Number.NaN, '9' as unknown as number]) {
      await expect(openStore({ [field]: bad })).rejects.toMatchObject({ code: 'invalid-argument', field });
    }
  },
);

test('openStore refuses a snapshotAgeMaxMs that no timer lasts', async () => {
  const field = 'snapshotAgeMaxMs';
  await expect(openStore({ [field]: 2 ** 31 })).rejects.toMatchObject({ code: 'invalid-argument', field });
});

test('transact at `visible` waits for the disk where very much waits already', async () => {
  const { disk, close, open } = gatedDisk();
  const store = await openStore({ disk, world: new ManualWorld() });
  close();
  const large = 'x'.repeat(1_000_000);
  const answered: Promise<void>[] = [];
  let isWaiting = false;
  for (let n = 0; n < 80 && !isWaiting; n++) {
    const commit = store.transact((tx) => tx.set(['large', n], large), { durability: 'visible' });
    answered.push(commit);
    isWaiting = !(await isSettled(commit));
  }
  expect(isWaiting).toBe(true);
  open();
  await Promise.all(answered);
  await store.close();
});
