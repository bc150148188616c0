import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Key, Value } from 'semel';
import { openStore } from 'semel/embedded';
import { expect, test } from 'vitest';
import { contentIn, scratch, scratchPaths, semel, startSemel, storeIn } from './store-process.harness.ts';

const entries: readonly (readonly [Key, Value])[] = [
  [['account', 'ada'], 70n],
  [['order', 'ada', 1], { item: 'tea', $note: '\u2028' }],
  [['order', 'bob', 1], new Uint8Array([1, 2])],
];

test('semel export and semel import make a copy by a file, and by a pipe', async () => {
  const directory = scratch();
  const [from, file] = [join(directory, 'store'), join(directory, 'export.jsonl')];
  await storeIn(from, entries);
  expect(await semel(['export', from, '--out', file])).toEqual({
    status: 0,
    printed: '',
    told: '3 entries exported\n',
  });
  const byFile = join(directory, 'by-file');
  expect(await semel(['import', byFile, file])).toEqual({ status: 0, printed: '', told: '3 entries imported\n' });
  expect(await contentIn(byFile)).toEqual(entries);

  const { printed } = await semel(['export', from]);
  const byPipe = join(directory, 'by-pipe');
  mkdirSync(byPipe);
  expect((await semel(['import', byPipe], printed)).status).toBe(0);
  expect(await contentIn(byPipe)).toEqual(entries);
  expect(readdirSync(directory).toSorted()).toEqual(['by-file', 'by-pipe', 'export.jsonl', 'store']);
});

test('semel export --prefix takes the keys that begin so', async () => {
  const directory = scratch();
  await storeIn(directory, entries);
  const { printed } = await semel(['export', directory, '--prefix', '["order","bob"]']);
  expect(printed.split('\n').slice(1, 2)).toEqual(['[["order","bob",1],{"$bytes":"AQI="}]']);
  expect(printed).toContain('"entries":1');
});

test('semel import leaves no directory, and exits with 1, where the lines are not as they were exported', async () => {
  const directory = scratch();
  const [from, to] = [join(directory, 'store'), join(directory, 'copy')];
  await storeIn(from, entries);
  const { printed } = await semel(['export', from]);
  const { status, told } = await semel(['import', to], printed.replace('tea', 'tee'));
  expect(told).toContain('line 5: the checksum is wrong');
  expect(told).toContain(`${to} was not made`);
  expect(status).toBe(1);
  expect(readdirSync(directory)).toEqual(['store']);
});

test('semel import leaves no directory when it is interrupted', async () => {
  const directory = scratch();
  const child = startSemel('import', join(directory, 'copy'));
  child.stdin.write('{"format":"semel-export","version":1,"now":0}\n');
  // By then it listens to signals, and waits for the next line.
  const made = watch(directory);
  if (readdirSync(directory).length === 0) await once(made, 'change');
  made.close();
  child.kill('SIGINT');
  await once(child, 'close');
  expect(child.exitCode).toBe(1);
  expect(readdirSync(directory)).toEqual([]);
});

test('semel export and semel import refuse by name what they cannot do, with 2, and change nothing', async () => {
  const { directory, store, empty, file } = scratchPaths('store', 'empty', 'file');
  await storeIn(store, entries);
  mkdirSync(empty);
  writeFileSync(file, 'a file');
  const refusals: readonly (readonly [readonly string[], string])[] = [
    [['export'], 'which directory?'],
    [['export', join(directory, 'none')], 'none does not exist'],
    [['export', empty], 'empty has no store in it'],
    [['export', file], 'file is no directory'],
    [['export', store, '--out', file], 'file exists already'],
    [['export', store, '--prefix', 'order'], `--prefix is order; expected the parts of a key`],
    [['export', store, '--prefix', '[null]'], 'expected the parts of a key'],
    [['export', store, 'more'], 'what is "more"?'],
    [['export', store, '--speed', '9'], "Unknown option '--speed'"],
    [['import', store, file], 'store is not empty'],
    [['import', join(directory, 'new'), join(directory, 'none')], 'no such file or directory'],
    [['import', file, file], 'file is no directory'],
  ];
  for (const [words, reason] of refusals) {
    const { status, printed, told } = await semel(words);
    expect(told).toContain(reason);
    expect([status, printed], told).toEqual([2, '']);
  }
  const owner = await openStore({ directory: store });
  const { status, told } = await semel(['export', store]);
  await owner.close();
  expect(told).toMatch(/store is in use by process \d+ on .*; ask that process, or end it first/);
  expect(status).toBe(2);
  expect(readdirSync(directory).toSorted()).toEqual(['empty', 'file', 'store']);
  expect(readFileSync(file, 'utf8')).toBe('a file');
  expect(await contentIn(store)).toEqual(entries);
});

test.each(['backup', 'export', 'import'])(
  'semel %s --help says what it does and what its exit codes mean',
  async (name) => {
    const { status, printed } = await semel([name, '--help']);
    expect(printed).toMatch(new RegExp(`^semel ${name} DIR`));
    expect(printed).toContain('Exit codes:');
    expect(status).toBe(0);
  },
);
