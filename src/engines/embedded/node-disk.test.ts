import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DirectoryLockedError } from '../../kv/errors.ts';
import { realWorld } from '../../kv/world.ts';
import { Log } from './log.ts';
import { nodeDisk } from './node-disk.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'semel-disk-'));
});

afterEach(() => rm(directory, { recursive: true }));

test('nodeDisk makes the directory, however deep', async () => {
  const disk = await nodeDisk(join(directory, 'a', 'b', 'c'));
  expect(await disk.list()).toEqual([]);
  await disk.sync();
  await nodeDisk(join(directory, 'a', 'b', 'c'));
});

test('nodeDisk appends, overwrites, truncates and reads back', async () => {
  const disk = await nodeDisk(directory);
  const file = await disk.create('one');
  file.append(Buffer.from('hello, '));
  file.append(Buffer.from('world'));
  file.overwrite(0, Buffer.from('H'));
  await file.sync();
  expect(file.size).toBe(12);
  await file.truncate(5);
  expect(file.size).toBe(5);
  await file.close();
  const again = await disk.open('one');
  expect(again.size).toBe(5);
  again.append(Buffer.from('!'));
  again.overwrite(1, Buffer.from('EL'));
  await again.close();
  expect(Buffer.from(await disk.read('one')).toString()).toBe('HELlo!');
});

test('nodeDisk refuses an overwrite beyond the end of the file', async () => {
  const file = await (await nodeDisk(directory)).create('one');
  file.append(Buffer.from('abc'));
  expect(() => file.overwrite(2, Buffer.from('xy'))).toThrow('assertion failed');
  await file.close();
});

test('nodeDisk creates a file only where none has its name, and opens only one that is there', async () => {
  const disk = await nodeDisk(directory);
  await (await disk.create('one')).close();
  await expect(disk.create('one')).rejects.toThrow('EEXIST');
  await expect(disk.open('two')).rejects.toThrow('ENOENT');
  await disk.rename('one', 'two');
  await disk.sync();
  expect(await disk.list()).toEqual(['two']);
  await disk.remove('two');
  expect(await disk.list()).toEqual([]);
});

test('nodeDisk.lock refuses a second owner in the same process, and can be taken again after its release', async () => {
  const [first, second] = [await nodeDisk(directory), await nodeDisk(directory)];
  const release = await first.lock();
  const refused = await second.lock().catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(DirectoryLockedError);
  expect(refused).toMatchObject({ directory, owner: expect.stringMatching(/^process \d+ on .+ since \d{4}-/) });
  await release();
  await (
    await second.lock()
  )();
});

test('nodeDisk.lock takes a lock that a process left behind with its words in it', async () => {
  await writeFile(join(directory, 'lock'), 'process 1 on another machine since 1999-12-31T23:59:59.000Z\n');
  const release = await (await nodeDisk(directory)).lock();
  expect(await readFile(join(directory, 'lock'), 'utf8')).toMatch(new RegExp(`^process ${process.pid} on .+\\n$`));
  await release();
});

test('Log keeps its entries on the disk of the machine', async () => {
  const disk = await nodeDisk(directory);
  const release = await disk.lock();
  const first = await openLog(disk);
  for (let count = 0; count < 100; count += 1) first.log.append(Buffer.from(`entry ${count}`));
  await first.log.whenDurable(100);
  await first.log.close();
  const second = await openLog(disk);
  expect(second.entries).toHaveLength(100);
  await second.log.atBoundary(() => undefined);
  second.log.append(Buffer.from('in another segment'));
  await second.log.close();
  expect((await disk.list()).toSorted()).toEqual(['lock', 'log-000000000001', 'log-000000000002']);
  const third = await openLog(disk);
  expect(third.entries.slice(99)).toEqual(['entry 99', 'in another segment']);
  await third.log.close();
  await release();
});

async function openLog(disk: Awaited<ReturnType<typeof nodeDisk>>): Promise<{ log: Log; entries: string[] }> {
  const entries: string[] = [];
  const log = await Log.open({
    disk,
    world: realWorld,
    onEntry: (entry) => void entries.push(Buffer.from(entry).toString()),
    segmentBytes: Infinity,
    onDurable: () => undefined,
  });
  return { log, entries };
}
