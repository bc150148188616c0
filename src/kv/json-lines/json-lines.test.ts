import { createHash } from 'node:crypto';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { AbortedError, exportLines, importLines, ImportError, limits, type Value } from 'semel';
import { openStore } from 'semel/embedded';
import { ManualWorld, SimulatedDisk } from 'semel/testing';
import { expect, onTestFinished, test } from 'vitest';
import { anyEntries, contentOf, exportedFile, importedStore, linesOfFile, storeOf } from './json-lines.harness.ts';

test('exportLines and importLines bring any keys and values into another store as they were', async () => {
  await fc.assert(
    fc.asyncProperty(anyEntries, async (entries) => {
      const store = await storeOf(entries);
      const copy = await importedStore(await Array.fromAsync(exportLines(store)));
      expect(await contentOf(copy.store)).toEqual(await contentOf(store));
      expect(await exportedFile(copy.store)).toContain(
        linesOfFile(await exportedFile(store))
          .slice(1, -1)
          .join('\n'),
      );
      expect(copy.result.entries).toBe((await contentOf(store)).length);
    }),
  );
});

test('importLines notices any byte that was altered, or makes the same store', async () => {
  const alteration = fc.record({ place: fc.nat(), byte: fc.nat({ max: 255 }) });
  await fc.assert(
    fc.asyncProperty(anyEntries, alteration, async (entries, { place, byte }) => {
      const store = await storeOf(entries);
      const bytes = Buffer.from(await exportedFile(store));
      bytes[place % bytes.length] = byte;
      const copy = await storeOf([]);
      const imported = await importLines(copy, linesOfFile(bytes.toString())).catch((error: unknown) => error);
      if (imported instanceof ImportError) {
        expect(imported).toMatchObject({ code: 'malformed', entries: 0, unsure: 0 });
        expect(await contentOf(copy)).toEqual([]);
      } else {
        expect(await contentOf(copy)).toEqual(await contentOf(store));
      }
    }),
    { numRuns: 500 },
  );
});

test('importLines notices every cut, and every line that is missing, twice there or elsewhere', async () => {
  const store = await storeOf(Array.from({ length: 5 }, (_, index) => [['key', index], index] as const));
  const lines = linesOfFile(await exportedFile(store));
  const spoiled = lines.flatMap((line, at) => [
    lines.slice(0, at),
    lines.toSpliced(at, 1),
    lines.toSpliced(at, 0, line),
    ...lines.map((_, to) => lines.toSpliced(at, 1).toSpliced(to, 0, line)),
  ]);
  for (const some of spoiled) {
    if (some.join('\n') === lines.join('\n')) continue;
    await expect(importedStore(some), some.join('\n')).rejects.toMatchObject({ code: 'malformed', entries: 0 });
  }
});

test('exportLines writes what JSON lacks so that it cannot be taken for anything else', async () => {
  const world = new ManualWorld();
  const store = await openStore({ world });
  onTestFinished(() => store.close());
  const value: Value = {
    bigint: -5n,
    bytes: new Uint8Array([0, 255]),
    zero: -0,
    given: [{ $bigint: '1' }, { $: 1, $$b: 2 }],
    separators: '\u2028\u2029',
  };
  await store.transact((tx) => tx.set(['a', 1, 1n, true, new Uint8Array([7])], value));
  const before = [
    `{"format":"semel-export","version":1,"now":${world.now()}}`,
    '[["a",1,{"$bigint":"1"},true,{"$bytes":"Bw=="}],{"bigint":{"$bigint":"-5"},"bytes":{"$bytes":"AP8="},' +
      '"zero":{"$number":"-0"},"given":[{"$$bigint":"1"},{"$$":1,"$$$b":2}],"separators":"\\u2028\\u2029"}]',
  ];
  const sha256 = createHash('sha256')
    .update(`${before.join('\n')}\n`)
    .digest('hex');
  expect(await Array.fromAsync(exportLines(store))).toEqual([...before, `{"entries":1,"sha256":"${sha256}"}`]);
});

test('exportLines writes lines that survive a file and the reader of lines of Node.js', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'semel-lines-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  await fc.assert(
    fc.asyncProperty(anyEntries, async (entries) => {
      const store = await storeOf(entries);
      await writeFile(join(directory, 'export'), await exportedFile(store));
      const file = await open(join(directory, 'export'));
      const copy = await storeOf([]);
      await importLines(copy, file.readLines());
      expect(await contentOf(copy)).toEqual(await contentOf(store));
    }),
    { numRuns: 30 },
  );
});

test('exportLines takes all from one snapshot, whatever is written while it runs', async () => {
  const store = await storeOf(Array.from({ length: 100 }, (_, index) => [['key', index], 'before'] as const));
  const before = await contentOf(store);
  const lines: string[] = [];
  for await (const line of exportLines(store)) {
    lines.push(line);
    await store.transact((tx) => {
      tx.set(['key', 100 - lines.length], 'after');
      tx.set(['zzz', lines.length], 'new');
      tx.delete(['key', 50]);
    });
  }
  const copy = await importedStore(lines);
  expect(await contentOf(copy.store)).toEqual(before);
});

test('exportLines with a prefix takes the keys that begin with these parts, and its header says so', async () => {
  const store = await storeOf([
    [['a'], 1],
    [['a', 5n], 2],
    [['ab'], 3],
    [['b', 'a'], 4],
  ]);
  const { store: copy, result } = await importedStore(await Array.fromAsync(exportLines(store, { prefix: ['a'] })));
  expect(await contentOf(copy)).toEqual([
    [['a'], 1],
    [['a', 5n], 2],
  ]);
  expect(result).toMatchObject({ entries: 2, prefix: ['a'] });
});

test('exportLines lets go of its snapshot when it is left, so that the store can close', async () => {
  const store = await storeOf([[['a'], 1]]);
  for await (const _ of exportLines(store)) break;
  await store.close();
  await expect(Array.fromAsync(exportLines(store))).rejects.toMatchObject({ code: 'store-closed' });
});

test('exportLines ends with AbortedError when its signal fires', async () => {
  const store = await storeOf(Array.from({ length: 9 }, (_, index) => [[index], index] as const));
  const controller = new AbortController();
  const lines = exportLines(store, { signal: controller.signal });
  await lines.next();
  await lines.next();
  controller.abort();
  await expect(Array.fromAsync(lines)).rejects.toThrow(AbortedError);
});

test('exportLines and importLines tell how far they are, and at the end how much it was', async () => {
  const store = await storeOf(Array.from({ length: 2_500 }, (_, index) => [['key', index], 'x'] as const));
  const exported: number[] = [];
  const lines = await Array.fromAsync(exportLines(store, { onProgress: ({ entries }) => exported.push(entries) }));
  expect(exported).toEqual([1_000, 2_000, 2_500]);
  const imported: number[] = [];
  await importLines(await storeOf([]), lines, { onProgress: ({ entries }) => imported.push(entries) });
  expect(imported).toEqual([1_000, 2_000, 2_500]);
});

test('importLines takes more than a transaction may have', async () => {
  const half = 'x'.repeat(limits.valueBytesMax / 2);
  const store = await openStore();
  onTestFinished(() => store.close());
  for (let index = 0; index < 40; index++) await store.transact((tx) => tx.set(['large', index], half));
  const { result } = await importedStore(await Array.fromAsync(exportLines(store)));
  expect(result.entries * half.length).toBeGreaterThan(limits.transactionBytesMax);
});

test('importLines refuses a store that holds anything, and leaves it as it is', async () => {
  const lines = await Array.fromAsync(exportLines(await storeOf([[['a'], 1]])));
  const store = await storeOf([[['b'], 2]]);
  await expect(importLines(store, lines)).rejects.toMatchObject({
    code: 'not-empty',
    message: 'the store is not empty; it was left as it is; import into a new one',
  });
  expect(await contentOf(store)).toEqual([[['b'], 2]]);
  // Where there is nothing to import, too.
  await expect(importLines(store, await Array.fromAsync(exportLines(await storeOf([]))))).rejects.toThrow('not empty');
});

const header = '{"format":"semel-export","version":1,"now":0}';
const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

test.each([
  ['nothing at all', [], 'line 0: there is no line, not even a header'],
  ['what is no JSON', ['PK\u0003'], 'line 1: it is "PK\\u0003"; expected a line of JSON'],
  ['another header', ['{"format":"dump"}'], 'line 1: it is an object; expected {"format":"semel-export",…}'],
  [
    'a later version',
    ['{"format":"semel-export","version":2}'],
    'line 1: version is 2; expected 1, which this release',
  ],
  ['an entry first', ['[["a"],1]'], 'line 1: it is [["a"], 1]; expected {"format"'],
  ['an end without a trailer', [header, '[["a"],1]'], 'line 2: the lines end without a trailer: the export was cut'],
  ['an entry without a value', [header, '[["a"]]'], 'line 2: it is [["a"]]; expected [key,value]'],
  ['a key that is none', [header, '["a",1]'], 'line 2: key is "a"; expected an array of parts'],
  ['a part that is none', [header, '[["a",null],1]'], 'line 2: key[1] is null; expected a string, bigint, number'],
  ['an empty key', [header, '[[],1]'], 'line 2: key is []; expected an array of at least one part'],
  [
    'a key a second time',
    [header, '[["a"],1]', '[["a"],2]'],
    'line 3: key ["a"] does not come after the one before it',
  ],
  ['a number too large', [header, '[["a"],1e999]'], 'line 2: value is Infinity; expected a finite number'],
  ['a bare -0', [header, '[["a"],[-0]]'], 'line 2: value[0] is "-0"; expected {"$number":"-0"}'],
  [
    'an unknown tag',
    [header, '[["a"],{"$date":"x"}]'],
    'line 2: value.$date is "x"; expected $bigint, $bytes or $number',
  ],
  [
    'a tag among others',
    [header, '[["a"],{"b":1,"$c":2}]'],
    `line 2: value.$c, a member's name, is "$c"; expected $$c`,
  ],
  [
    'a bigint that is none',
    [header, '[["a"],{"$bigint":"01"}]'],
    'line 2: value.$bigint is "01"; expected the decimal',
  ],
  ['a bigint of no text', [header, '[["a"],{"$bigint":1}]'], 'line 2: value.$bigint is 1; expected the decimal digits'],
  ['base64 that is none', [header, '[["a"],{"$bytes":"A"}]'], 'line 2: value.$bytes is "A"; expected base64'],
  ['bytes of no text', [header, '[["a"],{"$bytes":[1]}]'], 'line 2: value.$bytes is [1]; expected base64'],
  ['a lone surrogate', [header, String.raw`[["a"],"\ud800"]`], 'line 2: value is "\\ud800"; expected well-formed'],
  [
    'no depth that ends',
    [header, `[["a"],${nested(9_999)}]`],
    `line 2: valueDepthMax is ${limits.valueDepthMax}, found`,
  ],
  [
    'a trailer of another kind',
    [header, '{"entries":0}'],
    'line 2: it is an object; expected [key,value], or {"entries"',
  ],
  ['another count', [header, '{"entries":1,"sha256":""}'], 'line 2: the trailer counts 1 entries, but 0 were read'],
  [
    'another checksum',
    [header, '{"entries":0,"sha256":"00"}'],
    'line 2: the checksum is wrong: a line before this one',
  ],
])('importLines refuses %s, and says where and what was expected', async (_, lines, message) => {
  const store = await storeOf([]);
  const error = await importLines(store, lines).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(ImportError);
  expect(error).toMatchObject({ code: 'malformed', line: lines.length, entries: 0, unsure: 0 });
  expect(String(error)).toContain(message);
  expect(String(error)).toMatch(/; nothing was imported$/);
  expect(await contentOf(store)).toEqual([]);
});

test('importLines refuses what comes after the trailer', async () => {
  const lines = await Array.fromAsync(exportLines(await storeOf([])));
  await expect(importedStore([...lines, ...lines])).rejects.toThrow('line 3: the export ended before "{');
});

test('importLines says how much of a large export the store holds when it fails late', async () => {
  const source = await storeOf(Array.from({ length: 2_500 }, (_, index) => [['key', index], 'x'] as const));
  const lines = await Array.fromAsync(exportLines(source));
  const store = await storeOf([]);
  const error = await importLines(store, lines.slice(0, -1)).catch((error: unknown) => error);
  expect(error).toMatchObject({
    code: 'malformed',
    line: 2_501,
    entries: 2_000,
    unsure: 0,
    message:
      'line 2501: the lines end without a trailer: the export was cut; ' +
      'the store holds the first 2000 entries of the export, and no more; import again into a new one',
  });
  expect(await contentOf(store)).toEqual((await contentOf(source)).slice(0, 2_000));
});

test('importLines says so where the store fails, with its error as the cause', async () => {
  const lines = await Array.fromAsync(exportLines(await storeOf([[['a'], 1]])));
  const closed = await storeOf([]);
  await closed.close();
  const refused = await importLines(closed, lines).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'failed', entries: 0, unsure: 0, cause: { code: 'store-closed' } });
});

test('importLines ends at its signal, before it takes another line', async () => {
  const lines = await Array.fromAsync(exportLines(await storeOf([[['a'], 1]])));
  const controller = new AbortController();
  const store = await storeOf([]);
  async function* slowly() {
    yield* lines.slice(0, -1);
    controller.abort();
    yield* lines.slice(-1);
  }
  const error = await importLines(store, slowly(), { signal: controller.signal }).catch((error: unknown) => error);
  expect(error).toMatchObject({ code: 'failed', entries: 0, cause: controller.signal.reason });
  expect(await contentOf(store)).toEqual([]);
});

test('importLines says which entries may be there where the disk fails during a commit', async () => {
  const source = await storeOf(Array.from({ length: 1_500 }, (_, index) => [['key', index], 'x'] as const));
  const lines = await Array.fromAsync(exportLines(source));
  const disk = new SimulatedDisk({ seed: 1 });
  const store = await openStore({ disk });
  disk.failSync(disk.syncs + 2);
  const error = await importLines(store, lines).catch((error: unknown) => error);
  expect(error).toMatchObject({ code: 'failed', entries: 1_000, unsure: 500, cause: { code: 'commit-unknown' } });
  expect(String(error)).toContain('the store holds the first 1000 entries of the export, and perhaps the next 500');
});
