import { expect, test } from 'vitest';
import type { DamagedError } from '../../kv/errors.ts';
import type { Entry, Store } from '../../kv/store.ts';
import { ManualWorld, turn, until } from '../../testing/manual-world.ts';
import { type DiskOperation, PowerCutError, SimulatedDisk } from '../../testing/simulated-disk.ts';
import { type EmbeddedStore, type OpenOptions, openStore, type StoreEvent } from './embedded-store.ts';
import { checkpointName, segmentName } from './log-segment.ts';
import { LyingDisk, NarrowDisk, StaleDisk } from './odd-disks.harness.ts';

test('openStore writes a checkpoint when the log has grown, and loses neither values, versions nor the clock', async () => {
  const world = new ManualWorld(1_000_000);
  const { store, disk, events } = await open({ world, checkpointBytes: 100_000 });
  await store.transact((tx) => tx.set(['kept'], 1n));
  await store.transact((tx) => tx.set(['gone'], 1));
  await store.transact((tx) => tx.delete(['gone']));
  const given = await store.transact((tx) => tx.version);
  const large = 'x'.repeat(50_000);
  for (let n = 0; n < 30; n++) await store.transact((tx) => tx.set(['large'], `${n}${large}`));
  await until(() => events.filter(({ type }) => type === 'checkpointed').length > 3);
  const before = await contents(store);
  await store.close();
  expect(await sizeOf(disk)).toBeLessThan(300_000);
  world.jump(-500_000);
  let next = disk.kill();
  for (let round = 0; round < 2; round++) {
    const reopened = await openStore({ disk: next, world });
    expect(await contents(reopened)).toEqual(before);
    expect(await reopened.read((tx) => tx.now)).toBeGreaterThanOrEqual(1_000_000);
    const version = await reopened.transact((tx) => tx.version);
    expect([...before.map((entry) => entry.version), given]).not.toContain(version);
    next = next.crash();
  }
});

test('checkpoint leaves one checkpoint and the log since, which is all that an opening reads', async () => {
  const { store, disk } = await open();
  for (let n = 0; n < 1_000; n++) await store.transact((tx) => tx.set(['k', n % 10], n));
  await store.checkpoint();
  await store.transact((tx) => tx.set(['last'], 1));
  const entries = await contents(store);
  await store.close();
  expect((await disk.list()).toSorted()).toEqual([checkpointName(2), segmentName(2)]);
  const again = await open({ disk: disk.kill() });
  const recovered = again.events.find(({ type }) => type === 'recovered');
  // The incarnation, the mark, ten keys in one portion; then one commit, and the mark of closing.
  expect(recovered).toMatchObject({ type: 'recovered', entries: 5 });
  expect(await contents(again.store)).toEqual(entries);
});

test('checkpoint holds what was durable at its boundary while writers go on, each of which is acknowledged meanwhile', async () => {
  let written = 0;
  const disk = new SimulatedDisk({ seed: 1 });
  const world = new ManualWorld();
  const { store } = await open({ disk, world });
  for (let n = 0; n < 1_000; n++) await store.transact((tx) => tx.set(['k', n], { n, round: 0 }));
  const checkpointed = new AbortController();
  const checkpoint = store.checkpoint().finally(() => checkpointed.abort());
  while (!checkpointed.signal.aborted) {
    await store.transact((tx) => {
      tx.set(['k', written % 1_000], { n: written, round: 1 });
      tx.delete(['k', 999 - (written % 1_000)]);
      tx.set(['new', written], true);
    });
    written++;
  }
  await checkpoint;
  // 1,000 keys in slices of 256: unless writers ran between them, there would be hardly any.
  expect(written).toBeGreaterThan(3);
  const entries = await contents(store);
  const reopened = await open({ disk: disk.crash() });
  expect(await contents(reopened.store)).toEqual(entries);
});

for (const when of ['before', 'during'] as const) {
  test(`openStore recovers the same state from a power cut ${when} each operation of a checkpoint`, async () => {
    const found = new Set<string>();
    for (let operation = 1; ; operation++) {
      let cuts = 0;
      for (let seed = 1; seed <= 4; seed++) {
        const disk = new SimulatedDisk({ seed: seed * 1_000 + operation });
        const { store } = await open({ disk });
        for (let n = 0; n < 60; n++) await store.transact((tx) => tx.set(['k', n % 40], n));
        await store.checkpoint();
        for (let n = 0; n < 60; n++) await store.transact((tx) => tx.set(['k', n % 50], -n));
        const entries = await contents(store);
        disk.cutPower({ operation: disk.operations + operation, when });
        await store.checkpoint().then(
          () => undefined,
          (error: unknown) => {
            expect(isPowerCut(error)).toBe(true);
            cuts++;
          },
        );
        const crashed = disk.crash();
        const reopened = await open({ disk: crashed });
        expect(await contents(reopened.store), `seed ${seed}, operation ${operation}`).toEqual(entries);
        const names = (await crashed.list()).filter((name) => name.startsWith('checkpoint'));
        expect(names).toHaveLength(1);
        found.add(String(names[0]));
        const again = await open({ disk: crashed.crash() });
        expect(await contents(again.store)).toEqual(entries);
      }
      if (cuts === 0) break;
    }
    expect(found).toEqual(new Set([checkpointName(2), checkpointName(3)]));
  });
}

test('a checkpoint for which there is no room costs nothing, and is tried again when the log has grown', async () => {
  const { store, disk, events } = await open({ checkpointBytes: 20_000 });
  disk.limitSpace(30_000);
  const write = (n: number): Promise<void> => store.transact((tx) => tx.set(['k', n], 'x'.repeat(100)));
  let n = 0;
  while (!events.some(({ type }) => type === 'checkpoint-failed')) await write(n++);
  expect((await disk.list()).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  disk.limitSpace(Infinity);
  while (!events.some(({ type }) => type === 'checkpointed')) await write(n++);
  expect(store.status().poisoned).toBe(false);
  const again = await open({ disk: disk.crash() });
  expect(await contents(again.store)).toHaveLength(n);
});

test('a checkpoint that is read back otherwise than written is not adopted', async () => {
  const disk = new LyingDisk({ seed: 1 });
  const { store, events } = await open({ disk });
  await store.transact((tx) => tx.set(['k'], 1));
  disk.isLying = true;
  await expect(store.checkpoint()).rejects.toThrow('is not what was written; the disk cannot be trusted');
  expect(events.at(-1)).toMatchObject({ type: 'checkpoint-failed' });
  disk.isLying = false;
  await store.transact((tx) => tx.set(['k'], 2));
  await store.close();
  expect((await disk.list()).filter((name) => name.startsWith('checkpoint'))).toEqual([]);
  const again = await open({ disk: disk.kill() });
  expect(await contents(again.store)).toHaveLength(1);
});

test('a checkpoint is not adopted where a whole one of another state is read back', async () => {
  const other = await open();
  await other.store.transact((tx) => tx.set(['k'], 'of another store'));
  await other.store.checkpoint();
  const disk = new StaleDisk({ seed: 1 });
  const { store } = await open({ disk });
  await store.transact((tx) => tx.set(['k'], 1));
  disk.stale = await other.disk.read(checkpointName(2));
  await expect(store.checkpoint()).rejects.toThrow('is not what was written; the disk cannot be trusted');
});

test('a failed sync of a checkpoint leaves the store as it was; one of the directory poisons it', async () => {
  const outcomes: string[] = [];
  for (let sync = 1; ; sync++) {
    const { store, disk, events } = await open();
    await store.transact((tx) => tx.set(['k'], 1));
    disk.failSync(disk.syncs + sync);
    const failed = await store.checkpoint().then(
      () => false,
      () => true,
    );
    if (!failed) break;
    expect(events.map(({ type }) => type)).toContain('checkpoint-failed');
    outcomes.push(store.status().poisoned ? 'poisoned' : 'unharmed');
    await store.close();
    const again = await open({ disk: disk.kill() });
    expect(await contents(again.store)).toHaveLength(1);
  }
  // The next segment's header, which costs nothing; its name; the seal; the checkpoint's content; its name; what it replaces.
  expect(outcomes).toEqual(['unharmed', 'poisoned', 'poisoned', 'unharmed', 'poisoned', 'poisoned']);
});

test('openStore refuses a checkpoint with a flip of any byte, or of which any part is missing, and changes nothing', async () => {
  const { store, disk } = await open();
  for (let n = 0; n < 5; n++) await store.transact((tx) => tx.set(['k', n], 'value'));
  await store.checkpoint();
  await store.close();
  const files = await filesOf(disk);
  const name = checkpointName(2);
  const whole = files.get(name);
  if (whole === undefined) throw new Error('there is a checkpoint');
  for (let at = 0; at < whole.length; at++) {
    const flipped = Uint8Array.from(whole);
    flipped[at] = (flipped[at] ?? 0) ^ 0x10;
    await expectDamaged(new Map([...files, [name, flipped]]), [name]);
    await expectDamaged(new Map([...files, [name, whole.slice(0, at)]]), [name]);
  }
  await expectDamaged(new Map([...files, [name, Uint8Array.from([...whole, 0])]]), [name]);
});

test('openStore refuses a store of which a segment is missing, or a sealed one is not whole', async () => {
  const { store, disk } = await open({ segmentBytes: 400 });
  const names = async (): Promise<readonly string[]> => (await disk.list()).filter((name) => name.startsWith('log'));
  for (let n = 0; (await names()).length < 5; n++) await store.transact((tx) => tx.set(['k', n], 'value'));
  await store.close();
  const files = await filesOf(disk);
  const segments = [...files.keys()].toSorted();
  for (const [index, name] of segments.slice(0, -2).entries()) {
    const others = new Map([...files].filter(([other]) => other !== name));
    await expectDamaged(others, [name], 'it is missing');
    const bytes = files.get(name) ?? new Uint8Array(0);
    // Cut behind an earlier mark, it is whole by itself, and what follows does not continue it.
    const suspects = [name, segments[index + 1] ?? name];
    for (let end = 0; end < bytes.length; end++) {
      await expectDamaged(new Map([...files, [name, bytes.slice(0, end)]]), suspects);
    }
  }
  const reopened = await open({ disk: new SimulatedDisk({ seed: 1, files }) });
  expect((await contents(reopened.store)).length).toBeGreaterThan(5);
});

test('openStore removes what a checkpoint has replaced and what is unfinished, and nothing else', async () => {
  const { store, disk } = await open();
  await store.transact((tx) => tx.set(['k'], 1));
  const before = await filesOf(disk);
  await store.checkpoint();
  await store.close();
  const leftovers = new Map([
    [`${checkpointName(9)}.tmp`, new Uint8Array(3)],
    ['notes.tmp', new Uint8Array(1)],
    ['lock', new Uint8Array(1)],
  ]);
  const next = new SimulatedDisk({ seed: 1, files: new Map([...before, ...leftovers, ...(await filesOf(disk))]) });
  const again = await open({ disk: next });
  expect(await contents(again.store)).toHaveLength(1);
  expect((await next.list()).toSorted()).toEqual([checkpointName(2), 'lock', segmentName(2), 'notes.tmp']);
});

test('openStore opens a store whose checkpoints failed again and again with nothing written between them', async () => {
  const { store, disk } = await open();
  await store.transact((tx) => tx.set(['k'], 1));
  for (let failures = 0; failures < 3; failures++) {
    // Room for the next segment's header, and no more.
    disk.limitSpace(32);
    await expect(store.checkpoint()).rejects.toThrow('ENOSPC');
    disk.limitSpace(Infinity);
  }
  let next = disk.kill();
  for (let round = 0; round < 3; round++) {
    const again = await open({ disk: next });
    expect(await contents(again.store)).toHaveLength(1 + round);
    await again.store.transact((tx) => tx.set(['round', round], 1));
    next = next.crash();
  }
});

// Found by the simulation: a process cut off the torn end of the newest segment and was killed before it had synced that. The next one
// took the segment for one made ahead, and went on in the one before it; a power cut brought the torn end back.
test('openStore opens after a kill that left a segment empty in the kernel alone, and a power cut', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { store, disk } = await open({ disk: new SimulatedDisk({ seed }) });
    await store.transact((tx) => tx.set(['k'], 1));
    await store.close();
    const files = await filesOf(disk);
    const empty = await nextSegment();
    const torn = Uint8Array.from([...empty, ...new Uint8Array(300).fill(7)]);
    const found = new SimulatedDisk({ seed, files: new Map([...files, [segmentName(2), torn]]) });
    // It is copied, which takes four operations, and cut off; that is not synced.
    found.cutPower({ operation: 6, when: 'before' });
    await expect(open({ disk: found })).rejects.toThrow();
    const second = await open({ disk: found.kill() });
    await second.store.transact((tx) => tx.set(['k'], 2));
    const third = await open({ disk: second.disk.crash() });
    expect(await third.store.read((tx) => tx.get(['k']))).toBe(2);
  }
});

test('a checkpoint for which there is no room is not tried again before as much log has come as would make it due', async () => {
  const { store, disk, events } = await open({ checkpointBytes: 1_000 });
  await store.transact((tx) => {
    for (let n = 0; n < 1_000; n++) tx.set(['k', n], 'x'.repeat(100));
  });
  await store.checkpoint();
  const tried = (): number => events.filter(({ type }) => type === 'checkpoint-failed').length;
  disk.limitSpace(400_000);
  let n = 0;
  const write = (): Promise<void> => store.transact((tx) => tx.set(['k', n++ % 1_000], 'y'.repeat(1_000)));
  while (tried() === 0) await write();
  // The last checkpoint has more than 100,000 bytes, so as many are to be written before the next one.
  for (let more = 0; more < 50; more++) await write();
  expect(tried()).toBe(1);
  await store.close();
});

test('a segment that cannot be made ahead leaves the store at work in the one that it has', async () => {
  const disk = new NarrowDisk({ seed: 1 });
  const { store } = await open({ disk, segmentBytes: 500 });
  disk.isNarrow = true;
  for (let n = 0; n < 20; n++) await store.transact((tx) => tx.set(['k', n], n));
  await expect(store.checkpoint()).rejects.toThrow('could not be made');
  disk.isNarrow = false;
  for (let n = 20; n < 40; n++) await store.transact((tx) => tx.set(['k', n], n));
  expect((await disk.list()).length).toBeGreaterThan(1);
  await store.checkpoint();
  const again = await open({ disk: disk.crash() });
  expect(await contents(again.store)).toHaveLength(40);
});

test('close ends a checkpoint that is being written', async () => {
  const hold = Promise.withResolvers<void>();
  let isHeld = false;
  const disk = new SimulatedDisk({
    seed: 1,
    async pause(operation: DiskOperation) {
      if (operation !== 'create' || !isHeld) return;
      await hold.promise;
    },
  });
  const { store } = await open({ disk });
  await store.transact((tx) => tx.set(['k'], 1));
  isHeld = true;
  const checkpoint = store.checkpoint().catch((error: unknown) => error);
  const closed = store.close({ signal: AbortSignal.abort() });
  await turn();
  hold.resolve();
  expect(await checkpoint).toMatchObject({ code: 'store-closed' });
  await closed;
  expect((await disk.list()).filter((name) => name.includes('checkpoint'))).toEqual([]);
});

/** The bytes of a second segment to which nothing was written. */
async function nextSegment(): Promise<Uint8Array> {
  const { store, disk } = await open();
  await store.checkpoint();
  return (await disk.read(segmentName(2))).slice(0, 32);
}

interface Opened {
  readonly store: EmbeddedStore;
  readonly disk: SimulatedDisk;
  readonly events: StoreEvent[];
}

async function open(options: OpenOptions & { readonly disk?: SimulatedDisk } = {}): Promise<Opened> {
  const { disk = new SimulatedDisk({ seed: 1 }), world = new ManualWorld() } = options;
  const events: StoreEvent[] = [];
  const store = await openStore({ ...options, disk, world, onEvent: (event) => void events.push(event) });
  return { store, disk, events };
}

function contents(store: Store): Promise<readonly Entry[]> {
  return store.read((tx) => Array.fromAsync(tx.scan({})));
}

async function filesOf(disk: SimulatedDisk): Promise<Map<string, Uint8Array>> {
  const names = await disk.list();
  return new Map(await Promise.all(names.map(async (name) => [name, await disk.read(name)] as const)));
}

async function sizeOf(disk: SimulatedDisk): Promise<number> {
  let size = 0;
  for (const bytes of (await filesOf(disk)).values()) size += bytes.length;
  return size;
}

async function expectDamaged(
  files: ReadonlyMap<string, Uint8Array>,
  suspects: readonly string[],
  reason = '',
): Promise<void> {
  const disk = new SimulatedDisk({ seed: 1, files });
  const error = await openStore({ disk, world: new ManualWorld() }).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  expect(error).toMatchObject({ code: 'damaged' });
  expect(suspects).toContain((error as DamagedError).file);
  expect(String(error)).toContain(reason);
  expect(disk.operations).toBe(0);
}

function isPowerCut(error: unknown): boolean {
  for (let fault = error; fault instanceof Error; fault = fault.cause) if (fault instanceof PowerCutError) return true;
  return false;
}
