import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Entry, Store } from '../../kv/store.ts';
import { ManualWorld, turn } from '../../testing/manual-world.ts';
import { PowerCutError, SimulatedDisk } from '../../testing/simulated-disk.ts';
import { restoreBackup } from './backup.ts';
import { type EmbeddedStore, openStore } from './embedded-store.ts';

test('backup holds one state of a store that goes on, and restoreBackup makes a store of it', async () => {
  const { store } = await filled(new SimulatedDisk({ seed: 1 }));
  let writes = 0;
  const written = new AbortController();
  const writing = (async () => {
    // Each transaction keeps the two in step, so a backup between two of them would show.
    for (; !written.signal.aborted; writes++) {
      await store.transact((tx) => {
        tx.set(['first'], writes);
        tx.set(['k', 100 + (writes % 900)], { n: writes });
        tx.set(['zzz'], writes);
      });
    }
  })();
  const to = new SimulatedDisk({ seed: 2 });
  const progress: number[] = [];
  const facts = await store.backup(to, { onProgress: ({ bytes }) => void progress.push(bytes) });
  written.abort();
  await writing;
  expect(writes).toBeGreaterThan(2);
  expect(progress).toEqual(progress.toSorted((a, b) => a - b));
  expect(facts).toMatchObject({ bytes: progress.at(-1), incarnation: store.status().incarnation.id });
  await store.close();
  const target = new SimulatedDisk({ seed: 3 });
  await restoreBackup(to, target);
  const restored = await openStore({ disk: target, world: new ManualWorld() });
  const entries = new Map((await contents(restored)).map((entry) => [String(entry.key), entry.value]));
  expect(entries.get('first')).toBe(entries.get('zzz'));
  expect(entries.get('k,5')).toEqual({ n: 5 });
  expect(entries.size).toBeGreaterThanOrEqual(1_000);
  await restored.transact((tx) => tx.set(['first'], 'goes on'));
  await restored.close();
  const again = await openStore({ disk: target.crash(), world: new ManualWorld() });
  expect(await again.read((tx) => tx.get(['first']))).toBe('goes on');
  await again.close();
});

test('a restored copy knows that it is one, and gives out no version that its original or another copy does', async () => {
  const { store } = await filled(new SimulatedDisk({ seed: 1 }));
  const original = store.status().incarnation;
  expect(original.restoredFrom).toBeUndefined();
  const backup = new SimulatedDisk({ seed: 2 });
  await store.backup(backup);
  const versions: unknown[] = [];
  for (let n = 0; n < 3; n++) versions.push(await store.transact((tx) => tx.version));
  const ids = new Set([original.id]);
  for (const seed of [3, 4]) {
    const target = new SimulatedDisk({ seed });
    const facts = await restoreBackup(backup, target);
    const copy = await openStore({ disk: target, world: new ManualWorld() });
    expect(copy.status().incarnation).toMatchObject({ id: facts.incarnation, restoredFrom: original.id });
    ids.add(facts.incarnation);
    for (let n = 0; n < 3; n++) versions.push(await copy.transact((tx) => tx.version));
    expect(await contents(copy)).toEqual(await contents(store));
    await copy.close();
    const again = await openStore({ disk: target.crash(), world: new ManualWorld() });
    expect(again.status().incarnation.id).toBe(facts.incarnation);
    await again.close();
  }
  expect(ids.size).toBe(3);
  expect(new Set(versions).size).toBe(9);
  await store.close();
});

test('a store keeps its incarnation over restarts and checkpoints', async () => {
  const { store, disk } = await filled(new SimulatedDisk({ seed: 1 }));
  const { incarnation } = store.status();
  await store.checkpoint();
  await store.close();
  const again = await openStore({ disk: disk.crash(), world: new ManualWorld() });
  expect(again.status().incarnation).toEqual(incarnation);
  await again.close();
});

test('openStore refuses a directory with a backup, rather than begin a store beside it', async () => {
  const { store } = await filled(new SimulatedDisk({ seed: 1 }));
  const to = new SimulatedDisk({ seed: 2 });
  await store.backup(to);
  await store.close();
  await expect(openStore({ disk: to })).rejects.toThrow('restoreBackup makes a store of');
  expect(await to.list()).toEqual(['backup']);
});

test('backup and restoreBackup refuse a directory that holds a store or a backup, and change nothing', async () => {
  const { store, disk } = await filled(new SimulatedDisk({ seed: 1 }));
  const backup = new SimulatedDisk({ seed: 2 });
  await store.backup(backup);
  const refused = { code: 'invalid-argument', field: 'to' };
  await expect(store.backup(backup)).rejects.toMatchObject(refused);
  await store.close();
  for (const to of [backup, disk.kill()]) {
    const { operations } = to;
    await expect(restoreBackup(backup, to)).rejects.toMatchObject(refused);
    expect(to.operations).toBe(operations);
  }
  const empty = new SimulatedDisk({ seed: 3 });
  await expect(restoreBackup(empty, new SimulatedDisk({ seed: 4 }))).rejects.toMatchObject({ field: 'from' });
});

test('restoreBackup refuses a backup with a flip of any byte, and leaves no store behind', async () => {
  const store = await openStore({ world: new ManualWorld() });
  await store.transact((tx) => tx.set(['k'], 'value'));
  const backup = new SimulatedDisk({ seed: 2 });
  await store.backup(backup);
  await store.close();
  const whole = await backup.read('backup');
  for (let at = 0; at < whole.length; at++) {
    const flipped = Uint8Array.from(whole);
    flipped[at] = (flipped[at] ?? 0) ^ 0x04;
    const from = new SimulatedDisk({ seed: 1, files: new Map([['backup', flipped]]) });
    const to = new SimulatedDisk({ seed: 2 });
    await expect(restoreBackup(from, to)).rejects.toMatchObject({ code: 'damaged', file: 'backup' });
    expect(await to.list()).toEqual([]);
  }
});

test('restoreBackup that is cut by a power cut leaves a whole store, or what opening refuses or finds empty of all', async () => {
  const { store } = await filled(new SimulatedDisk({ seed: 1 }));
  const backup = new SimulatedDisk({ seed: 2 });
  await store.backup(backup);
  const entries = await contents(store);
  await store.close();
  const ends = new Set<string>();
  for (let operation = 1; ; operation++) {
    const to = new SimulatedDisk({ seed: operation });
    to.cutPower({ operation, when: operation % 2 === 0 ? 'before' : 'during' });
    const cut = await restoreBackup(backup, to).then(
      () => false,
      (error: unknown) => error instanceof PowerCutError || (error as Error).cause instanceof PowerCutError,
    );
    const crashed = to.crash();
    const names = await crashed.list();
    const end = await openStore({ disk: crashed, world: new ManualWorld() }).then(
      async (opened) => {
        const found = await contents(opened);
        await opened.close();
        return found.length === 0 ? 'nothing was there' : expectEqual(found, entries);
      },
      (error: unknown) => (error as { code?: string }).code ?? String(error),
    );
    // A store that is empty is begun only where nothing had its name yet.
    if (end === 'nothing was there') expect(names.filter((name) => !name.endsWith('.tmp'))).toEqual([]);
    ends.add(end);
    if (!cut) break;
  }
  expect(ends).toEqual(new Set(['nothing was there', 'damaged', 'whole']));
});

test('a backup on the disk of the machine becomes a store there', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'semel-backup-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const path = (name: string): string => join(directory, name);
  const store = await openStore({ directory: path('store') });
  await store.transact((tx) => tx.set(['k'], 1n));
  await store.backup(path('backup'));
  await expect(store.backup(path('store'))).rejects.toMatchObject({ code: 'directory-locked' });
  await store.close();
  await restoreBackup(path('backup'), path('copy'));
  const copy = await openStore({ directory: path('copy') });
  expect(await copy.read((tx) => tx.get(['k']))).toBe(1n);
  await copy.close();
});

test('a backup that was answered is there after a power cut, and so is a store that was restored', async () => {
  const { store } = await filled(new SimulatedDisk({ seed: 1 }));
  for (let seed = 1; seed <= 12; seed++) {
    const backup = new SimulatedDisk({ seed });
    await store.backup(backup);
    const target = new SimulatedDisk({ seed });
    await restoreBackup(backup.crash(), target);
    const copy = await openStore({ disk: target.crash(), world: new ManualWorld() });
    expect((await contents(copy)).length).toBe(1_000);
    await copy.close();
  }
  await store.close();
});

test('a backup that closing has fenced leaves nothing', async () => {
  const { store } = await filled(new SimulatedDisk({ seed: 1 }));
  const hold = Promise.withResolvers<void>();
  const to = new SimulatedDisk({
    seed: 2,
    pause: (operation) => (operation === 'create' ? hold.promise : Promise.resolve()),
  });
  const backup = expect(store.backup(to)).rejects.toMatchObject({ code: 'store-closed' });
  await store.close({ signal: AbortSignal.abort() });
  await backup;
  hold.resolve();
  for (let turns = 0; turns < 100; turns++) await turn();
  expect(await to.list()).toEqual([]);
});

test('backup ends when its signal fires, and leaves nothing', async () => {
  const { store } = await filled(new SimulatedDisk({ seed: 1 }));
  const to = new SimulatedDisk({ seed: 2 });
  const controller = new AbortController();
  const backup = store.backup(to, { signal: controller.signal, onProgress: () => controller.abort() });
  await expect(backup).rejects.toMatchObject({ code: 'aborted' });
  expect(await to.list()).toEqual([]);
  await store.close();
});

test('backup and restoreBackup can be done again where they were cut, and restoreBackup makes no directory of a misspelt one', async () => {
  const { store } = await filled(new SimulatedDisk({ seed: 1 }));
  const files = new Map([['backup.tmp', new Uint8Array(9)]]);
  const backup = new SimulatedDisk({ seed: 2, files });
  await store.backup(backup);
  await store.close();
  const target = new SimulatedDisk({ seed: 3, files: new Map([['checkpoint-000000000001.tmp', new Uint8Array(9)]]) });
  await restoreBackup(backup, target);
  expect((await target.list()).toSorted()).toEqual(['checkpoint-000000000001', 'log-000000000001']);
  const directory = await mkdtemp(join(tmpdir(), 'semel-backup-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const misspelt = join(directory, 'no-such-backup');
  await expect(restoreBackup(misspelt, join(directory, 'to'))).rejects.toMatchObject({ field: 'from' });
  expect(await readdir(directory)).toEqual([]);
});

async function filled(disk: SimulatedDisk): Promise<{ readonly store: EmbeddedStore; readonly disk: SimulatedDisk }> {
  const store = await openStore({ disk, world: new ManualWorld() });
  await store.transact((tx) => {
    for (let n = 0; n < 1_000; n++) tx.set(['k', n], { n });
  });
  return { store, disk };
}

function contents(store: Store): Promise<readonly Entry[]> {
  return store.read((tx) => Array.fromAsync(tx.scan({})));
}

function expectEqual(found: readonly Entry[], entries: readonly Entry[]): 'whole' {
  expect(found).toEqual(entries);
  return 'whole';
}
