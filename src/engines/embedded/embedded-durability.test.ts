import { expect, test } from 'vitest';
import { CommitUnknownError, PoisonedError } from '../../kv/errors.ts';
import type { Transaction } from '../../kv/store.ts';
import { ManualWorld, turn } from '../../testing/manual-world.ts';
import { SimulatedDisk } from '../../testing/simulated-disk.ts';
import { Database } from './database.ts';
import { openStore } from './embedded-store.ts';
import { gatedDisk, isSettled } from './gated-disk.harness.ts';
import { MemoryJournal } from './journal.ts';

const value = (tx: Pick<Transaction, 'get'>) => tx.get(['k']);

test('read sees the newest durable version while a newer one waits for the disk', async () => {
  const { disk, close, open, syncing } = gatedDisk();
  const store = await openStore({ disk, world: new ManualWorld() });
  await store.transact((tx) => tx.set(['k'], 'old'));
  close();
  const commit = store.transact((tx) => tx.set(['k'], 'new'));
  await syncing();
  expect(await store.read(value)).toBe('old');
  expect(await isSettled(commit)).toBe(false);
  open();
  await commit;
  expect(await store.read(value)).toBe('new');
  await store.close();
});

test('transact at read-committed lets out nothing that rests on its last read before it is durable', async () => {
  const { disk, close, open, syncing } = gatedDisk();
  const store = await openStore({ disk, world: new ManualWorld() });
  await store.transact((tx) => tx.set(['k'], 'old'));
  const between = Promise.withResolvers<void>();
  const seen: unknown[] = [];
  const reading = store.transact(
    async (tx) => {
      seen.push(await value(tx));
      await between.promise;
      seen.push(await value(tx));
    },
    { isolation: 'read-committed' },
  );
  await turn();
  close();
  const commit = store.transact((tx) => tx.set(['k'], 'new'));
  await syncing();
  between.resolve();
  expect(await isSettled(reading)).toBe(false);
  expect(seen).toEqual(['old', 'new']);
  open();
  await Promise.all([reading, commit]);
  await store.close();
});

test('transact sees the newest version in memory, and lets out nothing that rests on it before it is durable', async () => {
  const { disk, close, open, syncing } = gatedDisk();
  const store = await openStore({ disk, world: new ManualWorld() });
  close();
  const commit = store.transact((tx) => tx.set(['k'], 'new'));
  await syncing();
  const seen: unknown[] = [];
  const outcomes = {
    value: store.transact(async (tx) => seen.push(await value(tx))),
    throw: store.transact(async (tx) => {
      throw new Error(`refused, for it is ${String(await value(tx))}`);
    }),
    refusal: store.transact((tx) => tx.add(['k'], 1)),
    absence: store.transact((tx) => tx.get(['another key'])),
    commit: store.transact(async (tx) => tx.set(['copy'], (await value(tx)) ?? null)),
  };
  for (const outcome of Object.values(outcomes)) expect(await isSettled(outcome)).toBe(false);
  expect(seen).toEqual(['new']);
  open();
  await commit;
  await expect(outcomes.throw).rejects.toThrow('refused, for it is new');
  expect(await outcomes.refusal).toEqual({ outcome: 'refused', reason: 'not-addable' });
  await Promise.all([outcomes.value, outcomes.absence, outcomes.commit]);
  await store.close();
});

test('transact lets out at once what rests on durable versions only', async () => {
  const { disk, close, open } = gatedDisk();
  const store = await openStore({ disk, world: new ManualWorld() });
  await store.transact((tx) => tx.set(['k'], 'old'));
  close();
  expect(await store.transact(value)).toBe('old');
  open();
  await store.close();
});

test('transact lets out a conflict only when what collided is durable', async () => {
  const { disk, close, open, syncing } = gatedDisk();
  const store = await openStore({ disk, world: new ManualWorld() });
  const winners: Promise<unknown>[] = [];
  close();
  const loser = store.transact(
    async (tx) => {
      await value(tx);
      winners.push(store.transact((other) => other.set(['k'], 1)));
      await syncing();
      tx.set(['k'], 2);
    },
    { attemptsMax: 1 },
  );
  const conflict = expect(loser).rejects.toMatchObject({ code: 'conflict', keys: [['k']] });
  await syncing();
  expect(await isSettled(loser)).toBe(false);
  open();
  await Promise.all([conflict, ...winners]);
  await store.close();
});

test('transact says unknown when its bound passes during the sync', async () => {
  const { disk, close, open, syncing } = gatedDisk();
  const world = new ManualWorld();
  const store = await openStore({ disk, world });
  close();
  const timed = store.transact((tx) => tx.set(['k'], 1), { timeoutMs: 1_000 });
  const abort = new AbortController();
  const aborted = store.transact((tx) => tx.set(['k'], 2), { signal: abort.signal });
  const expectations = [timed, aborted].map((commit) => expect(commit).rejects.toBeInstanceOf(CommitUnknownError));
  await syncing();
  abort.abort();
  await world.advance(1_000);
  await Promise.all(expectations);
  open();
  await store.close();
});

test('a failed sync poisons: commits under way are unknown, what rests on them stays inside, reads go on at the durable version', async () => {
  const { disk, close, open, syncing } = gatedDisk();
  const events: string[] = [];
  const store = await openStore({ disk, world: new ManualWorld(), onEvent: (event) => events.push(event.type) });
  await store.transact((tx) => tx.set(['k'], 'durable'));
  disk.failSync(disk.syncs + 1);
  close();
  const commit = store.transact((tx) => tx.set(['k'], 'lost'));
  const committed = expect(commit).rejects.toMatchObject({ code: 'commit-unknown', effect: 'unknown' });
  await syncing();
  const resting = store.transact(async (tx) => {
    throw new Error(`never told: ${String(await value(tx))}`);
  });
  const rested = expect(resting).rejects.toBeInstanceOf(PoisonedError);
  await turn();
  open();
  await Promise.all([committed, rested]);
  expect(store.status().poisoned).toBe(true);
  expect(events).toContain('poisoned');
  expect(await store.read(value)).toBe('durable');
  await expect(store.transact((tx) => tx.set(['k'], 'more'))).rejects.toMatchObject({
    code: 'poisoned',
    effect: 'did-not-happen',
    cause: { cause: { code: 'EIO' } },
  });
  await store.close();
  const reopened = await openStore({ disk: disk.crash() });
  expect(await reopened.read(value)).toBe('durable');
  await reopened.close();
});

test('a transaction that the poison meets in its body cannot read on nor commit', async () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const store = await openStore({ disk, world: new ManualWorld() });
  const late = Promise.withResolvers<void>();
  const running = store.transact(async (tx) => {
    tx.set(['a'], 1);
    await late.promise;
    await expect(tx.get(['b'])).rejects.toBeInstanceOf(PoisonedError);
  });
  disk.limitSpace(0);
  await expect(store.transact((tx) => tx.set(['k'], 1))).rejects.toMatchObject({ code: 'commit-unknown' });
  late.resolve();
  await expect(running).rejects.toMatchObject({ code: 'poisoned', effect: 'did-not-happen' });
  await store.close();
});

test('versions that a snapshot or the durable horizon can see are kept, the others go as soon as they can', async () => {
  const { disk, close, open, syncing } = gatedDisk();
  const store = await openStore({ disk, world: new ManualWorld() });
  const set = (n: number) => store.transact((tx) => tx.set(['k'], n));
  await set(0);
  const hold = Promise.withResolvers<void>();
  const reader = store.read(async (tx) => {
    await hold.promise;
    return value(tx);
  });
  for (let n = 1; n <= 5; n++) await set(n);
  expect(store.status().versions).toBeGreaterThan(1);
  hold.resolve();
  expect(await reader).toBe(0);
  expect(store.status().versions).toBe(1);
  close();
  const pending = [set(6), set(7)];
  await syncing();
  expect(store.status().versions).toBe(3);
  expect(await store.read(value)).toBe(5);
  open();
  await Promise.all(pending);
  expect(store.status().versions).toBe(1);
  await store.close();
});

test('close refuses what is new, waits for what runs, and is heard once', async () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const store = await openStore({ disk, world: new ManualWorld() });
  const hold = Promise.withResolvers<void>();
  const running = store.transact(async (tx) => {
    await hold.promise;
    tx.set(['k'], 'in time');
  });
  const closed = store.close();
  await expect(store.transact(() => undefined)).rejects.toMatchObject({ code: 'store-closed' });
  await expect(store.read(() => undefined)).rejects.toMatchObject({ code: 'store-closed' });
  expect(await isSettled(closed)).toBe(false);
  hold.resolve();
  await Promise.all([running, closed, store.close()]);
  const reopened = await openStore({ disk: disk.kill() });
  expect(await reopened.read(value)).toBe('in time');
  await reopened.close();
});

test('now never goes back: not when the wall clock jumps, not over a restart, not over a crash', async () => {
  const world = new ManualWorld(1_000_000);
  let disk = new SimulatedDisk({ seed: 1 });
  let store = await openStore({ disk, world });
  const commitTime = () =>
    store.transact((tx) => {
      tx.set(['k'], tx.now);
      return tx.now;
    });
  const times = [await commitTime()];
  world.jump(-500_000);
  times.push(await store.read((tx) => tx.now), await commitTime());
  world.jump(600_000);
  times.push(await store.read((tx) => tx.now));
  await store.close();
  world.jump(-900_000);
  disk = disk.kill();
  store = await openStore({ disk, world });
  times.push(await store.read((tx) => tx.now), await commitTime());
  disk = disk.crash();
  world.jump(-100_000);
  store = await openStore({ disk, world });
  times.push(await commitTime());
  expect(times).toEqual(times.toSorted((a, b) => a - b));
  expect(times[0]).toBe(1_000_000);
  await store.close();
});

test('versions never repeat: not after a deletion, not for a commit that a crash made unhappen', async () => {
  const { disk, close, open, syncing } = gatedDisk();
  const versions = new Set<string>();
  let attempts = 0;
  const write = async (store: Awaited<ReturnType<typeof openStore>>, present: boolean): Promise<void> => {
    await store.transact((tx) => {
      attempts++;
      versions.add(tx.version);
      if (present) tx.set(['k'], 1);
      else tx.delete(['k']);
    });
  };
  let store = await openStore({ disk, world: new ManualWorld() });
  for (const present of [true, false, true]) await write(store, present);
  close();
  const lost = write(store, true);
  await syncing();
  let next = disk.crash();
  open();
  await expect(lost).rejects.toBeInstanceOf(CommitUnknownError);
  for (let round = 0; round < 3; round++) {
    store = await openStore({ disk: next, world: new ManualWorld() });
    await write(store, false);
    await write(store, true);
    next = next.crash();
  }
  expect(versions.size).toBe(attempts);
});

test('versions go on beyond the first million without a pause, each once', async () => {
  const database = new Database(new ManualWorld());
  await database.start(new MemoryJournal(() => database.collect()));
  const count = 2 ** 21 + 1;
  let last = 0;
  for (let n = 0; n < count; n++) {
    const version = database.takeVersion();
    if (version <= last) expect(version).toBeGreaterThan(last);
    last = version;
    if (n % 100_000 === 0) await turn();
  }
  expect(last).toBe(count);
});

test('close fences what still runs when its patience ends, and keeps what was committed', async () => {
  const world = new ManualWorld();
  const disk = new SimulatedDisk({ seed: 1 });
  const store = await openStore({ disk, world });
  await store.transact((tx) => tx.set(['k'], 'kept'));
  const never = Promise.withResolvers<void>();
  const endings = [
    store.transact(async (tx) => {
      tx.set(['k'], 'never');
      await never.promise;
    }),
    store.read(() => never.promise),
  ].map((call) => expect(call).rejects.toMatchObject({ code: 'store-closed', effect: 'did-not-happen' }));
  const closed = store.close({ timeoutMs: 1_000 });
  await world.advance(1_000);
  await Promise.all([closed, ...endings]);
  const reopened = await openStore({ disk: disk.kill() });
  expect(await reopened.read(value)).toBe('kept');
  await reopened.close();
});

test('close closes where its signal has fired already, and is refused where its bound is none', async () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const store = await openStore({ disk, world: new ManualWorld() });
  await store.transact((tx) => tx.set(['k'], 'kept'));
  await expect(store.close({ timeoutMs: -1 })).rejects.toMatchObject({ code: 'invalid-argument', field: 'timeoutMs' });
  const running = expect(store.read(() => new Promise(() => undefined))).rejects.toMatchObject({
    code: 'store-closed',
  });
  await store.close({ signal: AbortSignal.abort() });
  await running;
  const reopened = await openStore({ disk: disk.kill() });
  expect(await reopened.read(value)).toBe('kept');
  await reopened.close();
});
