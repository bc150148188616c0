import { expect, test } from 'vitest';
import type { Transaction } from 'semel';
import { openStore } from 'semel/embedded';
import { fingerprint } from 'semel/idempotency';
import { createOperations, type Execution, type Identity, type OperationEvent } from 'semel/operations';
import { ManualWorld, turn, until } from '../testing/manual-world.ts';
import { SimulatedDisk } from '../testing/simulated-disk.ts';

test('run lets neither outcome nor event out before the commit is durable, a duplicate’s no more than the owner’s', async () => {
  const { disk, hold, release } = holdableDisk();
  const events: OperationEvent[] = [];
  const world = new ManualWorld();
  const store = await openStore({ disk, world });
  const operations = createOperations(store, { world, onEvent: (event) => events.push(event) });
  hold();
  let answered = 0;
  const runs = [1, 2].map(() => operations.run(identity, pay).then((outcome) => (answered++, outcome)));
  await until(() => operations.waiting === 1);
  for (let turns = 0; turns < 50; turns++) await turn();
  expect([answered, events.length]).toEqual([0, 0]);
  release();
  expect((await Promise.all(runs)).map(({ outcome }) => outcome)).toEqual(['executed', 'replayed']);
  expect(events).toHaveLength(2);
  await store.close();
});

test('run tells commit-unknown when the deadline passes during the sync, and a waiter finds the record instead of executing', async () => {
  const { disk, hold, release } = holdableDisk();
  const world = new ManualWorld();
  const store = await openStore({ disk, world });
  const operations = createOperations(store, { world });
  hold();
  const first = operations.run(identity, pay);
  await until(() => disk.syncs > 1);
  await world.advance(29_000);
  const waiting = operations.run(identity, pay);
  await world.advance(1_000);
  expect(await first).toEqual({ outcome: 'refused', reason: 'commit-unknown' });
  release();
  expect(await waiting).toMatchObject({ outcome: 'replayed', result: { balance: 1 } });
  expect(await store.read((tx) => tx.get(['balance']))).toBe(1);
  await store.close();
});

test('run replays after a crash what it had told, and executes what it had not', async () => {
  const world = new ManualWorld();
  const disk = new SimulatedDisk({ seed: 1 });
  const before = createOperations(await openStore({ disk, world }), { world });
  const told = await before.run(identity, pay);
  const untold = before.run({ ...identity, key: 'untold' }, () => new Promise(() => undefined));
  await turn();
  const store = await openStore({ disk: disk.crash(), world });
  const after = createOperations(store, { world });
  const { keep: _, ...rest } = told.outcome === 'executed' ? told : { ...told, keep: undefined };
  expect(await after.run(identity, pay)).toEqual({ ...rest, outcome: 'replayed' });
  expect(await after.run({ ...identity, key: 'untold' }, pay)).toMatchObject({ outcome: 'executed' });
  expect(await store.read((tx) => tx.get(['balance']))).toBe(2);
  await world.advance(30_000);
  await untold;
  await store.close();
});

test('run replays a durable outcome, and cancel tells it, while the store takes no more writes', async () => {
  const { store, operations, disk } = await opened();
  const told = await operations.run(identity, pay);
  expect(told.outcome).toBe('executed');
  expect(await operations.cancel('acme', 'burnt')).toMatchObject({ state: 'cancelled' });
  disk.failSync(disk.syncs + 1);
  expect(await operations.run({ ...identity, key: 'lost' }, pay)).toMatchObject({ reason: 'commit-unknown' });
  expect(store.status().poisoned).toBe(true);
  expect(await operations.run(identity, pay)).toMatchObject({ outcome: 'replayed', result: { balance: 1 } });
  expect(await operations.run({ ...identity, fingerprint: otherFingerprint }, pay)).toEqual({ outcome: 'mismatch' });
  expect(await operations.run({ ...identity, key: 'burnt' }, pay)).toMatchObject({ reason: 'cancelled' });
  expect(await operations.cancel('acme', 'k')).toMatchObject({ state: 'complete', result: { balance: 1 } });
  await store.close();
});

test('run replays, once the sync is done, what a deadline had left unknown, though the store is poisoned since', async () => {
  const { store, operations, disk, world, hold, release } = await opened();
  hold();
  const syncs = disk.syncs;
  const first = operations.run(identity, pay);
  await until(() => disk.syncs > syncs);
  await world.advance(30_000);
  expect(await first).toEqual({ outcome: 'refused', reason: 'commit-unknown' });
  release();
  await store.transact((tx) => tx.set(['durable', 'after it'], true));
  disk.failSync(disk.syncs + 1);
  await expect(store.transact((tx) => tx.set(['lost'], true))).rejects.toMatchObject({ code: 'commit-unknown' });
  expect(await operations.run(identity, pay)).toMatchObject({ outcome: 'replayed', result: { balance: 1 } });
  await store.close();
});

test('run lets poisoned pass where no durable record tells the outcome, whose words leave open what became of an earlier try', async () => {
  const { store, operations, disk } = await opened();
  disk.failSync(disk.syncs + 1);
  expect(await operations.run(identity, pay)).toEqual({ outcome: 'refused', reason: 'commit-unknown' });
  const fault: unknown = await operations.run(identity, pay).catch((error: unknown) => error);
  expect(fault).toMatchObject({ code: 'poisoned' });
  expect(String(fault)).toMatch(/this attempt/);
  await expect(operations.cancel('acme', 'k')).rejects.toMatchObject({ code: 'poisoned' });
  expect(operations.inFlight).toBe(0);
  await store.close();
});

async function opened() {
  const { disk, hold, release } = holdableDisk();
  const world = new ManualWorld();
  const store = await openStore({ disk, world });
  return { store, operations: createOperations(store, { world }), disk, world, hold, release };
}

const identity: Identity = {
  scope: 'acme',
  key: 'k',
  fingerprint: fingerprint({ method: 'POST', path: '/', query: [], mediaType: undefined, body: new Uint8Array() }),
};

const otherFingerprint = fingerprint({
  method: 'PUT',
  path: '/',
  query: [],
  mediaType: undefined,
  body: new Uint8Array(),
});

async function pay(tx: Transaction): Promise<Execution> {
  const balance = Number((await tx.get(['balance'])) ?? 0) + 1;
  tx.set(['balance'], balance);
  return { keep: 'all', result: { balance } };
}

/** A disk whose syncs can be held back. */
function holdableDisk(): { disk: SimulatedDisk; hold: () => void; release: () => void } {
  let gate = Promise.withResolvers<void>();
  gate.resolve();
  const pause = (operation: string): Promise<void> => (operation === 'sync' ? gate.promise : Promise.resolve());
  return {
    disk: new SimulatedDisk({ seed: 1, pause }),
    hold: () => (gate = Promise.withResolvers<void>()),
    release: () => gate.resolve(),
  };
}
