import { expect, test } from 'vitest';
import { DirectoryLockedError } from '../kv/errors.ts';
import { type DiskOperation, PowerCutError, SimulatedDisk } from './simulated-disk.ts';

const seeds = Array.from({ length: 200 }, (_, seed) => seed);

test('SimulatedDisk.crash keeps what was synced', async () => {
  for (const seed of seeds) {
    const disk = new SimulatedDisk({ seed });
    const file = await disk.create('a');
    file.append(Buffer.alloc(2_000, 1));
    await file.sync();
    await disk.sync();
    expect(await disk.crash().read('a')).toEqual(new Uint8Array(2_000).fill(1));
  }
});

test('SimulatedDisk.crash lets any sectors and any size survive of what was not synced', async () => {
  const found = new Set<string>();
  const sizes = new Set<number>();
  for (const seed of seeds) {
    const disk = new SimulatedDisk({ seed, files: new Map([['a', new Uint8Array(512).fill(1)]]) });
    const file = await disk.open('a');
    file.append(Buffer.alloc(1_024, 2));
    const bytes = await disk.crash().read('a');
    expect(bytes.subarray(0, 512)).toEqual(new Uint8Array(512).fill(1));
    sizes.add(bytes.length);
    if (bytes.length === 1_536) found.add(`${bytes[512]}${bytes[1_024]}`);
  }
  // None, the first, the second alone (so they were reordered), both.
  expect([...found].sort()).toEqual(['00', '02', '20', '22']);
  expect(sizes).toContain(512);
  expect(sizes.size).toBeGreaterThan(10);
});

test('SimulatedDisk.crash keeps names only as far as the directory was synced or chance has it', async () => {
  const found = new Set<string>();
  for (const seed of seeds) {
    const disk = new SimulatedDisk({ seed, files: new Map([['old', new Uint8Array(1)]]) });
    await disk.create('new');
    await disk.sync();
    await disk.rename('new', 'renamed');
    await disk.remove('old');
    found.add((await disk.crash().list()).toSorted().join(' '));
  }
  expect([...found].sort()).toEqual(['new', 'new old', 'old renamed', 'renamed']);
});

test('SimulatedDisk.crash renames the file that was renamed or none, not an earlier one of that name', async () => {
  for (let seed = 0; seed < 100; seed++) {
    const disk = new SimulatedDisk({ seed });
    await disk.create('temporary');
    await disk.remove('temporary');
    const file = await disk.create('temporary');
    file.append(Buffer.from('whole'));
    await file.sync();
    await disk.rename('temporary', 'named');
    const crashed = disk.crash();
    if (!(await crashed.list()).includes('named')) continue;
    expect(Buffer.from(await crashed.read('named')).toString(), `seed ${seed}`).toBe('whole');
  }
});

test('SimulatedDisk.kill loses nothing, and what was not synced is still at risk', async () => {
  const lost = new Set<number>();
  for (const seed of seeds) {
    const disk = new SimulatedDisk({ seed, files: new Map([['a', new Uint8Array(0)]]) });
    (await disk.open('a')).append(Buffer.from('x'));
    const next = disk.kill();
    expect(await next.read('a')).toHaveLength(1);
    lost.add((await next.crash().read('a')).length);
  }
  expect(lost).toEqual(new Set([0, 1]));
});

test('SimulatedDisk.failSync loses the sectors for good: a later sync passes over them', async () => {
  const disk = new SimulatedDisk({ seed: 1, files: new Map([['a', new Uint8Array(0)]]) });
  const file = await disk.open('a');
  file.append(Buffer.from('x'));
  disk.failSync(1);
  await expect(file.sync()).rejects.toMatchObject({ code: 'EIO' });
  await file.sync();
  expect(await disk.read('a')).toEqual(Uint8Array.from(Buffer.from('x')));
  expect(await disk.crash().read('a')).toEqual(new Uint8Array(1));
});

test('SimulatedDisk syncs what was there when the sync began', async () => {
  const held = Promise.withResolvers<void>();
  const sizes = new Set<number>();
  for (const seed of seeds) {
    const files = new Map([['a', new Uint8Array(0)]]);
    const pause = async (operation: DiskOperation) => (operation === 'sync' ? held.promise : undefined);
    const disk = new SimulatedDisk({ seed, files, pause });
    const file = await disk.open('a');
    file.append(Buffer.alloc(512, 1));
    const syncing = file.sync();
    file.append(Buffer.alloc(512, 2));
    held.resolve();
    await syncing;
    sizes.add((await disk.crash().read('a')).length);
  }
  expect(Math.min(...sizes)).toBe(512);
  expect(Math.max(...sizes)).toBe(1_024);
});

test('SimulatedDisk.limitSpace writes what fits and refuses the rest', async () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const file = await disk.create('a');
  disk.limitSpace(3);
  const append = (): void => file.append(Buffer.from('four'));
  expect(append).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
  expect(Buffer.from(await disk.read('a')).toString()).toBe('fou');
});

test('SimulatedDisk.limitSpace counts again what is removed or cut off', async () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const [one, other] = [await disk.create('one'), await disk.create('other')];
  one.append(Buffer.from('four'));
  other.append(Buffer.from('four'));
  disk.limitSpace(0);
  await one.truncate(1);
  other.append(Buffer.from('new'));
  await disk.remove('one');
  other.append(Buffer.from('4'));
  expect(() => other.append(Buffer.from('5'))).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
  expect(Buffer.from(await disk.read('other')).toString()).toBe('fournew4');
});

test('SimulatedDisk.failWrite writes less than it was given, and says so', async () => {
  const sizes = new Set<number>();
  for (const seed of seeds) {
    const disk = new SimulatedDisk({ seed });
    const file = await disk.create('a');
    disk.failWrite(disk.writes + 2);
    file.append(Buffer.from('ab'));
    expect(() => file.append(Buffer.from('cd'))).toThrow(expect.objectContaining({ code: 'EIO' }));
    sizes.add(file.size);
    file.append(Buffer.from('e'));
  }
  expect(sizes).toEqual(new Set([2, 3]));
});

test('SimulatedDisk.failRead fails once, and the bytes are sound', async () => {
  const disk = new SimulatedDisk({ seed: 1, files: new Map([['a', Uint8Array.of(7)]]) });
  disk.failRead(disk.reads + 1);
  await expect(disk.read('a')).rejects.toMatchObject({ code: 'EIO' });
  expect(await disk.read('a')).toEqual(Uint8Array.of(7));
});

test('SimulatedDisk.flipBit turns one bit over, and tells which', async () => {
  for (const seed of seeds) {
    const bytes = new Uint8Array(600).fill(0xff);
    const disk = new SimulatedDisk({ seed, files: new Map([['a', bytes]]) });
    const flipped = disk.flipBit();
    const expected = bytes.slice();
    expected[flipped?.offset ?? -1] = 0xff ^ (1 << (flipped?.bit ?? 0));
    expect(await disk.read('a')).toEqual(expected);
    expect(await disk.crash().read('a')).toEqual(expected);
  }
  expect(new SimulatedDisk({ seed: 1 }).flipBit()).toBeUndefined();
});

test('SimulatedDisk.misdirectWrite is hidden by the cache until the power is cut, and then shows in two places', async () => {
  const found = new Set<string>();
  for (const seed of seeds) {
    const files = new Map([['a', new Uint8Array(1_536).fill(1)]]);
    const disk = new SimulatedDisk({ seed, files });
    const file = await disk.open('a');
    disk.misdirectWrite(1);
    file.overwrite(0, new Uint8Array(512).fill(2));
    await file.sync();
    expect((await disk.read('a'))[0]).toBe(2);
    const after = await disk.crash().read('a');
    found.add([0, 512, 1_024].map((at) => after[at]).join(''));
  }
  // By chance the other place is the right one.
  expect([...found].sort()).toEqual(['112', '121', '211']);
});

test('SimulatedDisk.cutPower ends everything at the chosen operation, until the crash is answered', async () => {
  for (const when of ['before', 'during'] as const) {
    const disk = new SimulatedDisk({ seed: 1, files: new Map([['a', new Uint8Array(0)]]) });
    const file = await disk.open('a');
    disk.cutPower({ operation: 2, when });
    file.append(Buffer.from('x'));
    await expect(file.sync()).rejects.toThrow(PowerCutError);
    await expect(disk.list()).rejects.toThrow(PowerCutError);
    expect(() => file.append(Buffer.from('y'))).toThrow(PowerCutError);
    expect(await disk.crash().list()).toEqual(['a']);
    await expect(disk.list()).rejects.toThrow('this process is dead');
  }
});

test('SimulatedDisk does the same for the same seed', async () => {
  const run = async (): Promise<Uint8Array> => {
    const disk = new SimulatedDisk({ seed: 42, files: new Map([['a', new Uint8Array(0)]]) });
    (await disk.open('a')).append(Buffer.alloc(10_000, 1));
    return disk.crash().read('a');
  };
  expect(await run()).toEqual(await run());
});

test('SimulatedDisk.lock has one owner at a time, and is free after its death', async () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const release = await disk.lock();
  await expect(disk.lock()).rejects.toThrow(DirectoryLockedError);
  await release();
  await disk.lock();
  const next = disk.kill();
  await next.lock();
  await next.crash().lock();
});
