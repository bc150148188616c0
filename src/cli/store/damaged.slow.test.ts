import { createHash } from 'node:crypto';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { StoreInspection } from '../../engines/embedded/inspect-store.ts';
import { openStore } from 'semel/embedded';
import { expect, test } from 'vitest';
import { contentIn, scratch, scratchPaths, semel, storeIn } from './store-process.harness.ts';

const log = 'log-000000000001';
const entries = Array.from({ length: 9 }, (_, index) => [['key', index], `value ${index}`] as const);

/** The bytes of every file, and their names. */
function digestOf(directory: string): string {
  const hash = createHash('sha256');
  for (const name of readdirSync(directory).toSorted()) hash.update(name).update(readFileSync(join(directory, name)));
  return hash.digest('hex');
}

function damage(directory: string): void {
  const bytes = readFileSync(join(directory, log));
  bytes.write('X', bytes.indexOf('value 4'));
  writeFileSync(join(directory, log), bytes);
}

async function inspect(directory: string) {
  const before = digestOf(directory);
  const [asText, asJson] = await Promise.all([semel(['inspect', directory]), semel(['inspect', directory, '--json'])]);
  expect(digestOf(directory)).toBe(before);
  expect(asJson.status).toBe(asText.status);
  const inspection: StoreInspection & { readonly owner: string | null } = JSON.parse(asJson.printed);
  return { ...asText, inspection };
}

test('semel inspect says intact, torn or rotten, with where and how much, exits by that, and changes nothing', async () => {
  const directory = scratch();
  await storeIn(directory, entries);
  const { size } = statSync(join(directory, log));
  const intact = await inspect(directory);
  expect(intact.printed).toMatch(
    /^log-000000000001 .* bytes {2}intact\n.* 9 of them commits; versions up to 9\n\nintact\n$/ms,
  );
  expect([intact.status, intact.inspection.verdict]).toEqual([0, 'intact']);

  appendFileSync(join(directory, log), 'torn');
  const torn = await inspect(directory);
  expect(torn.printed).toContain(`torn at byte ${size}\n`);
  expect([torn.status, torn.inspection.verdict]).toEqual([3, 'torn']);

  damage(directory);
  const rotten = await inspect(directory);
  expect(rotten.printed).toMatch(/rotten at byte \d+: no record can be read here, but one follows at byte \d+\n/);
  expect(rotten.printed).toMatch(/bytes \d+ to \d+ cannot be read: group 6\n/);
  expect([rotten.status, rotten.inspection.verdict]).toEqual([1, 'rotten']);
  const refused = await openStore({ directory }).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'damaged', offset: Number(/rotten at byte (\d+)/.exec(rotten.printed)?.[1]) });
});

test('semel inspect looks while another process has the store open, and says so', async () => {
  const directory = scratch();
  const store = await openStore({ directory });
  await store.transact((tx) => tx.set(['a'], 1));
  const { status, printed, inspection } = await inspect(directory);
  expect(printed).toContain(`open: process ${process.pid} on `);
  expect(inspection.owner).toContain(`process ${process.pid} on `);
  expect(status).toBe(0);
  await store.transact((tx) => tx.set(['a'], 2));
  await store.close();
  expect((await inspect(directory)).inspection.owner).toBe(null);
});

test('semel salvage saves what is whole, says what is not, leaves the store as it is, and semel import takes it', async () => {
  const { store, 'salvaged.jsonl': file, copy } = scratchPaths('store', 'salvaged.jsonl', 'copy');
  await storeIn(store, entries);
  damage(store);
  const before = digestOf(store);
  const { status, printed, told } = await semel(['salvage', store, '--out', file]);
  expect(told).toMatch(
    /^missing: log-000000000001: bytes \d+ to \d+ cannot be read, group 6: .*\n8 entries salvaged\n$/,
  );
  expect([status, printed]).toEqual([1, '']);
  expect(readFileSync(file, 'utf8')).toMatch(/^\{"format":"semel-export",.*"salvaged":\["log-000000000001: bytes /);
  expect(digestOf(store)).toBe(before);

  const imported = await semel(['import', copy, file]);
  expect(imported.told).toMatch(/^salvaged from a damaged store: log-000000000001: .*\n8 entries imported\n$/);
  expect(imported.status).toBe(0);
  expect(await contentIn(copy)).toEqual(entries.toSpliced(4, 1));

  const until = await semel(['salvage', store, '--until-damage']);
  expect(until.printed).toContain('"entries":4');
  expect(until.told).toMatch(/^missing: everything from byte \d+ of log-000000000001 on\n4 entries salvaged\n$/);
});

test('semel salvage exits with 0 where nothing is missing', async () => {
  const directory = scratch();
  await storeIn(directory, entries);
  const { status, printed, told } = await semel(['salvage', directory]);
  expect([status, told]).toEqual([0, '9 entries salvaged\n']);
  expect(printed).toContain('"salvaged":[]');
});

test('semel inspect and semel salvage refuse by name what they cannot do, with 2', async () => {
  const { directory, store, empty, file } = scratchPaths('store', 'empty', 'file');
  await storeIn(store, entries);
  mkdirSync(empty);
  writeFileSync(file, 'a file');
  for (const name of ['inspect', 'salvage']) {
    for (const [words, reason] of [
      [[], 'which directory?'],
      [[join(directory, 'none')], 'none does not exist'],
      [[empty], 'empty has no store in it'],
      [[file], 'file is no directory'],
      [[store, 'more'], 'what is "more"?'],
    ] as const) {
      const { status, printed, told } = await semel([name, ...words]);
      expect(told).toContain(reason);
      expect([status, printed], told).toEqual([2, '']);
    }
  }
  const owner = await openStore({ directory: store });
  const inUse = await semel(['salvage', store]);
  await owner.close();
  expect(inUse.told).toMatch(/store is in use by process \d+ on /);
  expect(inUse.status).toBe(2);
  const exists = await semel(['salvage', store, '--out', file]);
  expect(exists.told).toContain('file exists already');
  expect(exists.status).toBe(2);
  expect(readFileSync(file, 'utf8')).toBe('a file');
});

test.each(['inspect', 'salvage'])('semel %s --help says what it does and what its exit codes mean', async (name) => {
  const { status, printed } = await semel([name, '--help']);
  expect(printed).toMatch(new RegExp(`^semel ${name} DIR`));
  expect(printed).toContain('Exit codes:');
  expect(status).toBe(0);
});
