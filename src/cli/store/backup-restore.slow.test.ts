import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openStore } from 'semel/embedded';
import { expect, test } from 'vitest';
import { contentIn, scratchPaths, semel, storeIn } from './store-process.harness.ts';

const entries = [
  [['account', 'ada'], 70n],
  [['account', 'bob'], 5n],
] as const;

test('semel backup and semel restore make a copy, which is another incarnation', async () => {
  const { store, backup, copy } = scratchPaths('store', 'backup', 'copy');
  await storeIn(store, entries);
  const written = await semel(['backup', store, backup]);
  expect(written.told).toMatch(/^\d+ bytes, as of 20\d\d-.*Z\n$/);
  expect([written.status, written.printed]).toEqual([0, '']);
  expect(await semel(['inspect', backup])).toMatchObject({ status: 0 });

  const restored = await semel(['restore', backup, copy]);
  expect(restored.told).toMatch(/^\d+ bytes; incarnation [0-9a-f]{32}, restored from [0-9a-f]{32}\n$/);
  expect(restored.status).toBe(0);
  expect(await contentIn(copy)).toEqual(entries);
  const opened = await openStore({ directory: copy });
  const { id, restoredFrom } = opened.status().incarnation;
  await opened.close();
  expect(restored.told).toContain(`incarnation ${id}, restored from ${restoredFrom}`);
});

test('semel restore says so where the backup is damaged, and makes no store; semel salvage saves what is whole of it', async () => {
  const { store, backup, copy } = scratchPaths('store', 'backup', 'copy');
  await storeIn(store, entries);
  await semel(['backup', store, backup]);
  const bytes = readFileSync(join(backup, 'backup'));
  writeFileSync(join(backup, 'backup'), bytes.subarray(0, -40));
  const { status, told } = await semel(['restore', backup, copy]);
  expect(told).toMatch(/^semel restore: backup is damaged at byte \d+: its end is missing\n$/);
  expect(status).toBe(1);
  const exported = await semel(['export', copy]);
  expect(exported.told).toContain('has no store in it');
  const salvaged = await semel(['salvage', backup]);
  expect(salvaged.told).toMatch(/2 entries salvaged\n$/);
});

test('semel backup and semel restore refuse by name what they cannot do, with 2', async () => {
  const { directory, store, backup, empty } = scratchPaths('store', 'backup', 'empty');
  await storeIn(store, entries);
  await semel(['backup', store, backup]);
  mkdirSync(empty);
  for (const [words, reason] of [
    [['backup', store], 'where to?'],
    [['backup', join(directory, 'none'), empty], 'none does not exist'],
    [['backup', empty, join(directory, 'new')], 'empty has no store in it'],
    [['backup', backup, empty], 'backup is a backup; semel restore makes a store of it'],
    [['backup', store, backup], 'backup is not empty: it has backup'],
    [['backup', store, store], 'store is not empty: it has log-000000000001'],
    [['export', backup], 'backup is a backup; semel restore makes a store of it'],
    [['restore', backup], 'where to?'],
    [['restore', join(directory, 'none'), empty], 'none does not exist'],
    [['restore', store, empty], 'store is no backup'],
    [['restore', backup, store], 'store is not empty: it has log-000000000001'],
  ] as const) {
    const { status, printed, told } = await semel(words);
    expect(told).toContain(reason);
    expect([status, printed], told).toEqual([2, '']);
  }
  const owner = await openStore({ directory: store });
  const inUse = await semel(['backup', store, empty]);
  await owner.close();
  expect(inUse.told).toMatch(/store is in use by process \d+ on /);
  expect(inUse.status).toBe(2);
  expect(readdirSync(empty)).toEqual([]);
});
