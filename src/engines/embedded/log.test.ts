import { expect, test } from 'vitest';
import { PoisonedError, StoreClosedError } from '../../kv/errors.ts';
import { realWorld } from '../../kv/world.ts';
import type { World } from '../../kv/world.ts';
import { SimulatedDisk } from '../../testing/simulated-disk.ts';
import type { DiskOperation } from '../../testing/simulated-disk.ts';
import { logBeginning } from './file-header.ts';
import { scanSegment } from './log-scan.ts';
import { segmentName } from './log-segment.ts';
import { Log } from './log.ts';
import type { LogOptions, SyncFacts } from './log.ts';

test('Log.open begins an empty log in an empty directory', async () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const { log, entries } = await openLog(disk);
  expect(entries).toEqual([]);
  expect(log.recovery).toMatchObject({ segment: segmentName(1), entries: 0, tornBytes: 0, keptAside: undefined });
  expect([log.lastIndex, log.durableIndex]).toEqual([0, 0]);
  expect(await disk.list()).toEqual([segmentName(1)]);
});

test('Log gives back what was appended, in order, whichever lengths the entries have', async () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const { log } = await openLog(disk);
  const appended = Array.from({ length: 40 }, (_, length) => 'x'.repeat(length));
  for (const entry of appended) {
    log.append(Buffer.from(entry));
    if (entry.length % 3 === 0) await log.whenDurable(log.lastIndex);
  }
  await log.close();
  const again = await openLog(disk);
  expect(again.entries).toEqual(appended);
  expect(again.log.recovery).toMatchObject({ entries: 40, tornBytes: 0 });
});

test('Log.append counts the entries of this process from 1', async () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const first = await openLog(disk);
  expect([first.log.append(Buffer.from('a')), first.log.append(Buffer.from('b'))]).toEqual([1, 2]);
  await first.log.close();
  const second = await openLog(disk);
  expect(second.log.append(Buffer.from('c'))).toBe(1);
  await second.log.close();
  expect((await openLog(disk)).entries).toEqual(['a', 'b', 'c']);
});

test('Log syncs once for all entries that arrived during the sync before, and never twice at a time', async () => {
  const syncs = new HeldSyncs();
  const disk = new SimulatedDisk({ seed: 1, pause: syncs.pause });
  const { log, synced } = await openLog(disk);
  syncs.hold();
  log.append(Buffer.from('first'));
  await syncs.arrival();
  for (let count = 0; count < 100; count += 1) log.append(Buffer.from(`later ${count}`));
  syncs.releaseOne();
  await log.whenDurable(1);
  expect(log.durableIndex).toBe(1);
  await syncs.arrival();
  log.append(Buffer.from('last'));
  syncs.releaseAll();
  await log.whenDurable(log.lastIndex);
  expect(synced.map(({ entries }) => entries)).toEqual([1, 100, 1]);
  expect(syncs.inFlightMax).toBe(1);
});

test('Log shares the first sync among the entries of one turn', async () => {
  const { log, synced } = await openLog(new SimulatedDisk({ seed: 1 }));
  for (const entry of ['a', 'b', 'c']) log.append(Buffer.from(entry));
  await log.whenDurable(3);
  expect(synced.map(({ entries }) => entries)).toEqual([3]);
});

test.for([
  ['lets what a sync has woken join the group that waits', 1, [1, 2, 2]],
  ['does not wait for what a sync has woken where that took longer than the sync', 50, [1, 2, 1]],
] as const)('Log %s', async ([, wakingMs, groups]) => {
  let clockMs = 0;
  const syncs = new HeldSyncs();
  const disk = new SimulatedDisk({ seed: 1, pause: syncs.pause });
  const { log, synced } = await openLog(disk, { world: { ...realWorld, monotonicMs: () => clockMs } });
  const append = (): number => log.append(Buffer.from('entry'));
  syncs.hold();
  append();
  for (let sync = 1; sync <= 2; sync += 1) {
    await syncs.arrival();
    const woken = log.whenDurable(log.durableIndex + 1).then(() => {
      clockMs += wakingMs;
      append();
    });
    append();
    clockMs += 10;
    syncs.releaseOne();
    await woken;
  }
  await syncs.arrival();
  syncs.releaseAll();
  await log.whenDurable(log.lastIndex);
  expect(synced.map(({ entries }) => entries).slice(0, groups.length)).toEqual(groups);
});

test('Log vouches by a mark for what it acknowledges, where the group that waits is not written yet', async () => {
  let clockMs = 0;
  const syncs = new HeldSyncs();
  const disk = new SimulatedDisk({ seed: 1, pause: syncs.pause });
  const { log } = await openLog(disk, { world: { ...realWorld, monotonicMs: () => clockMs } });
  syncs.hold();
  log.append(Buffer.from('acknowledged'));
  await syncs.arrival();
  const woken = log.whenDurable(1).then(() => disk.read(segmentName(1)));
  log.append(Buffer.from('waits'));
  clockMs += 10;
  syncs.releaseOne();
  const scan = scanSegment({
    name: segmentName(1),
    number: 1,
    bytes: Buffer.from(await woken),
    from: logBeginning,
  });
  expect(scan).toMatchObject({ marked: true, chain: { sequence: 1 } });
  syncs.releaseAll();
  await log.whenDurable(2);
});

test('Log.whenDurable answers one promise for a group, and calls onDurable before its waiters run', async () => {
  const events: string[] = [];
  const { log } = await openLog(new SimulatedDisk({ seed: 1 }), {
    onDurable: (index) => void events.push(`durable ${index}`),
  });
  log.append(Buffer.from('a'));
  log.append(Buffer.from('b'));
  expect(log.whenDurable(1)).toBe(log.whenDurable(2));
  const waiters = [1, 2].map((index) => log.whenDurable(index).then(() => events.push(`waiter ${index}`)));
  await Promise.all(waiters);
  expect(events).toEqual(['durable 2', 'waiter 1', 'waiter 2']);
});

test('Log.close makes durable what was appended, and takes no more', async () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const { log } = await openLog(disk);
  log.append(Buffer.from('a'));
  const closing = log.close();
  expect(log.close()).toBe(closing);
  expect(() => log.append(Buffer.from('b'))).toThrow(StoreClosedError);
  await closing;
  expect((await openLog(disk.crash())).entries).toEqual(['a']);
});

test('Log.close makes its mark durable, so that damage to the last group is known for what it is', async () => {
  for (let seed = 0; seed < 20; seed += 1) {
    const disk = new SimulatedDisk({ seed });
    await appendAll(disk, ['a']);
    const closed = await disk.read(segmentName(1));
    expect(await disk.crash().read(segmentName(1))).toEqual(closed);
  }
});

test('Log is poisoned by a failed sync: its waiters are rejected, it takes nothing more, it never tries again', async () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const causes: unknown[] = [];
  const { log } = await openLog(disk, { onPoison: (cause) => void causes.push(cause) });
  log.append(Buffer.from('durable'));
  await log.whenDurable(1);
  disk.failSync(disk.syncs + 1);
  log.append(Buffer.from('lost'));
  const waiter = log.whenDurable(2);
  await expect(waiter).rejects.toThrow(PoisonedError);
  const poison = log.poison;
  expect(poison?.cause).toBe(causes[0]);
  expect(String(poison?.cause)).toContain('syncing failed in log-000000000001: EIO: input/output error; free space');
  expect(() => log.append(Buffer.from('more'))).toThrow(PoisonedError);
  await expect(log.whenDurable(2)).rejects.toBe(poison);
  await expect(log.whenDurable(1)).resolves.toBeUndefined();
  const syncs = disk.syncs;
  await log.close();
  expect(disk.syncs).toBe(syncs);
  expect(causes).toHaveLength(1);
});

test('Log rejects who waits for a later group, too, when it is poisoned', async () => {
  const syncs = new HeldSyncs();
  const disk = new SimulatedDisk({ seed: 1, pause: syncs.pause });
  const { log } = await openLog(disk);
  syncs.hold();
  disk.failSync(disk.syncs + 1);
  log.append(Buffer.from('a'));
  await syncs.arrival();
  log.append(Buffer.from('b'));
  const waiters = [log.whenDurable(1), log.whenDurable(2)];
  syncs.releaseAll();
  const results = await Promise.allSettled(waiters);
  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
});

test('Log is poisoned by a full disk, at every byte, and has all that it acknowledged when space is free again', async () => {
  for (let bytes = 0; bytes < 400; bytes += 1) {
    const disk = new SimulatedDisk({ seed: bytes });
    const { log } = await openLog(disk);
    disk.limitSpace(bytes);
    const acknowledged: string[] = [];
    try {
      for (let count = 0; ; count += 1) {
        const index = log.append(Buffer.from(`entry ${count}`));
        await log.whenDurable(index);
        acknowledged.push(`entry ${count}`);
      }
    } catch (error) {
      expect(error).toBeInstanceOf(PoisonedError);
      expect(String(log.poison?.cause)).toContain('ENOSPC: no space left on device; free space');
    }
    await log.close();
    const next = disk.kill();
    expect((await openLog(next)).entries.slice(0, acknowledged.length)).toEqual(acknowledged);
  }
});

interface OpenedLog {
  readonly log: Log;
  readonly entries: string[];
  readonly synced: SyncFacts[];
}

async function openLog(disk: SimulatedDisk, hooks: Partial<LogOptions> = {}): Promise<OpenedLog> {
  const entries: string[] = [];
  const synced: SyncFacts[] = [];
  const log = await Log.open({
    disk,
    world,
    segmentBytes: Infinity,
    onEntry: (entry) => void entries.push(Buffer.from(entry).toString()),
    onDurable: () => undefined,
    onSync: (facts) => void synced.push(facts),
    ...hooks,
  });
  return { log, entries, synced };
}

async function appendAll(disk: SimulatedDisk, entries: readonly string[]): Promise<void> {
  const { log } = await openLog(disk);
  for (const entry of entries) log.append(Buffer.from(entry));
  await log.close();
}

const world: World = { ...realWorld, randomBytes: (count) => new Uint8Array(count).fill(7) };

/** Lets a test hold syncs back and see how many are under way. */
class HeldSyncs {
  inFlightMax = 0;
  #inFlight = 0;
  #held = false;
  readonly #waiting: (() => void)[] = [];
  #arrived = Promise.withResolvers<void>();

  readonly pause = async (operation: DiskOperation): Promise<void> => {
    if (operation !== 'sync') return;
    this.#inFlight += 1;
    this.inFlightMax = Math.max(this.inFlightMax, this.#inFlight);
    if (this.#held) {
      const release = Promise.withResolvers<void>();
      this.#waiting.push(release.resolve);
      this.#arrived.resolve();
      await release.promise;
    }
    this.#inFlight -= 1;
  };

  hold(): void {
    this.#held = true;
  }

  /** Resolves when a sync is held that no earlier call saw. */
  async arrival(): Promise<void> {
    await this.#arrived.promise;
    this.#arrived = Promise.withResolvers();
  }

  releaseOne(): void {
    this.#waiting.shift()?.();
  }

  releaseAll(): void {
    this.#held = false;
    for (const release of this.#waiting.splice(0)) release();
  }
}
