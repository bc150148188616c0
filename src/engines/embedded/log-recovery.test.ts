import { expect, test } from 'vitest';
import { DamagedError } from '../../kv/errors.ts';
import { realWorld } from '../../kv/world.ts';
import { SimulatedDisk } from '../../testing/simulated-disk.ts';
import { crc32c } from './crc32c.ts';
import { encodeHeader, headerBytes, logBeginning } from './file-header.ts';
import { RecordChain, recordHeaderBytes } from './log-format.ts';
import { segmentName } from './log-segment.ts';
import { Log } from './log.ts';

const salt = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
const name = segmentName(1);
const segmentHeaderBytes = headerBytes('log');

/** Three groups, each made durable on its own: header, a, mark, b, mark, c, mark. */
const pieces = makePieces();
const whole = Buffer.concat(pieces);
/** Where each piece begins. */
const offsets = pieces.map((_, index) => Buffer.concat(pieces.slice(0, index)).length);
const [, aAt = 0, aMarkAt = 0, bAt = 0, bMarkAt = 0, cAt = 0, cMarkAt = 0] = offsets;

test('Log.open writes the bytes that the format describes', async () => {
  const disk = diskWith(new Map());
  const { log } = await open(disk);
  for (const entry of ['a1', 'b1']) {
    log.append(Buffer.from(entry));
    await log.whenDurable(log.lastIndex);
  }
  const chain = begunChain();
  const header = headerOf(1);
  const expected = [
    header,
    chain.group([Buffer.from('a1')], 0),
    chain.mark(),
    chain.group([Buffer.from('b1')], 1),
    chain.mark(),
  ];
  expect(Buffer.from(await disk.read(name)).equals(Buffer.concat(expected))).toBe(true);
});

test('Log.open refuses a flip of any bit in a group that a later record vouches for, and changes nothing', async () => {
  for (const [from, to] of [
    [aAt, aMarkAt],
    [bAt, bMarkAt],
    [cAt, cMarkAt],
  ] as const) {
    for (let at = from; at < to; at += 1) {
      for (let bit = 0; bit < 8; bit += 1) await expectDamaged(flipped(whole, at, 1 << bit), from);
    }
  }
});

test('Log.open refuses a flip of any byte in a mark in the middle', async () => {
  for (let at = aMarkAt; at < bAt; at += 1) await expectDamaged(flipped(whole, at), aMarkAt);
  for (let at = bMarkAt; at < cAt; at += 1) await expectDamaged(flipped(whole, at), bMarkAt);
});

test('Log.open refuses a flip of any byte in the header', async () => {
  for (let at = 0; at < segmentHeaderBytes; at += 1) await expectDamaged(flipped(whole, at), 0);
});

test('Log.open cuts a closing mark that is torn, and loses no entry', async () => {
  for (let at = cMarkAt; at < whole.length; at += 1)
    await expectTorn(flipped(whole, at), cMarkAt, ['a1', 'a2', 'b', 'c']);
});

test('Log.open cuts a last group that nothing vouches for, whichever byte is wrong', async () => {
  const unmarked = whole.subarray(0, cMarkAt);
  for (let at = cAt; at < cMarkAt; at += 1) await expectTorn(flipped(unmarked, at), cAt, ['a1', 'a2', 'b']);
});

test('Log.open cuts a log that ends at any byte, at the last whole record', async () => {
  const entries = [[], ['a1', 'a2'], ['a1', 'a2'], ['a1', 'a2', 'b'], ['a1', 'a2', 'b'], ['a1', 'a2', 'b', 'c']];
  for (let size = segmentHeaderBytes; size < whole.length; size += 1) {
    const records = offsets.filter((offset) => offset > segmentHeaderBytes && offset <= size);
    await expectTorn(whole.subarray(0, size), records.at(-1) ?? segmentHeaderBytes, entries[records.length] ?? []);
  }
});

test('Log.open refuses a segment that is empty or ends within its header: no crash leaves one under its name', async () => {
  for (let size = 0; size < segmentHeaderBytes; size += 1) await expectDamaged(whole.subarray(0, size), 0);
});

test('Log.open cuts zeros at the end, and refuses zeros in the middle', async () => {
  for (const count of [1, 8, 40, 511, 512, 4_096, 100_000]) {
    const zeros = Buffer.concat([whole, Buffer.alloc(count)]);
    await expectTorn(zeros, whole.length, ['a1', 'a2', 'b', 'c']);
  }
  await expectDamaged(Buffer.from(whole).fill(0, bAt, bMarkAt), bAt);
});

test('Log.open restores a mark that a power cut lost before the group behind it', async () => {
  const unmarked = whole.subarray(0, cMarkAt);
  for (const lost of [flipped(unmarked, bMarkAt), Buffer.from(unmarked).fill(0, bMarkAt, cAt)]) {
    const disk = diskWith(new Map([[name, lost]]));
    const { entries } = await open(disk);
    expect(entries).toEqual(['a1', 'a2', 'b', 'c']);
    // Its mark was appended at the opening.
    expect(Buffer.from(await disk.read(name)).equals(whole)).toBe(true);
  }
});

test('Log.open refuses a group that stands where another is due, its checksum right', async () => {
  const [header, a, aMark, b, bMark] = pieces;
  if (!header || !a || !aMark || !b || !bMark) throw new Error('the log of this test has these pieces');
  await expectDamaged(
    Buffer.concat([header, a, aMark, b, bMark, b, bMark]),
    cAt,
    'goes on with group 2 where 3 is due',
  );
  await expectDamaged(Buffer.concat([header, a, aMark, a, aMark]), bAt, 'goes on with group 1 where 2 is due');
  const fork = new RecordChain(salt, { sequence: 1, checksum: 12_345 });
  await expectDamaged(Buffer.concat([header, a, aMark, fork.group([Buffer.from('x')], 1)]), bAt, 'chain of checksums');
  const ahead = begunChain();
  await expectDamaged(Buffer.concat([header, ahead.group([Buffer.from('x')], 5)]), aAt, 'ahead of the log');
});

test('Log.open takes an old record inside of a torn entry for what it is', async () => {
  const [header, a, aMark] = pieces;
  if (!header || !a || !aMark) throw new Error('the log of this test has these pieces');
  const chain = begunChain();
  chain.group([Buffer.from('a1'), Buffer.from('a2')], 0);
  const nested = chain.group([Buffer.concat([Buffer.alloc(4), a, aMark])], 1);
  const torn = flipped(Buffer.concat([header, a, aMark, nested]), bAt);
  await expectTorn(torn, bAt, ['a1', 'a2']);
});

test('Log.open ignores records of another segment at the end', async () => {
  const other = new RecordChain(Uint8Array.from([9, 9, 9, 9, 9, 9, 9, 9]), { sequence: 3, checksum: 1 });
  const reused = Buffer.concat([whole, other.group([Buffer.from('old')], 3)]);
  await expectTorn(reused, whole.length, ['a1', 'a2', 'b', 'c']);
});

test('Log.open keeps every torn end aside, under a name of its own', async () => {
  const torn = Buffer.concat([whole, Buffer.from('half a record')]);
  const aside = `torn-${name}-${whole.length}`;
  const disk = diskWith(
    new Map([
      [name, torn],
      [aside, Buffer.from('an earlier one')],
    ]),
  );
  const { log } = await open(disk);
  expect(log.recovery).toMatchObject({ tornBytes: 13, keptAside: `${aside}-2`, bytes: whole.length });
  expect(Buffer.from(await disk.read(`${aside}-2`)).toString()).toBe('half a record');
  expect(Buffer.from(await disk.read(aside)).toString()).toBe('an earlier one');
});

test('Log.open refuses a damaged newest segment although an older one is there, and removes neither', async () => {
  const disk = diskWith(
    new Map([
      [name, whole],
      [segmentName(2), Buffer.from('no log at all, but longer than a header')],
    ]),
  );
  await expect(open(disk)).rejects.toThrow(DamagedError);
  expect(disk.operations).toBe(0);
});

test('Log.open refuses a segment under the name of another', async () => {
  const disk = diskWith(new Map([name, segmentName(2)].map((each) => [each, whole])));
  await expect(open(disk)).rejects.toThrow('log-000000000002 is damaged at byte 0: it is number 1 by its header');
});

test('Log.open refuses a format version that it does not know', async () => {
  const header = headerOf(1);
  header.writeUInt32LE(3, 8);
  header.writeUInt32LE(0, 12);
  header.writeUInt32LE(crc32c(header), 12);
  await expectDamaged(header, 0, 'it has format version 3; this release reads version 2');
});

async function expectDamaged(bytes: Buffer, offset: number, reason = ''): Promise<void> {
  const disk = diskWith(new Map([[name, bytes]]));
  const error = await open(disk).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (!(error instanceof DamagedError)) throw new Error(`not refused: damage at byte ${offset}`, { cause: error });
  expect(error).toMatchObject({ file: name, offset });
  expect(error.message).toContain(reason);
  expect(disk.operations).toBe(0);
}

/** Opens twice: the first time cuts, the second finds nothing to cut and the same entries. */
async function expectTorn(bytes: Buffer, end: number, entries: readonly string[]): Promise<void> {
  const disk = diskWith(new Map([[name, bytes]]));
  const first = await open(disk);
  expect(first.entries).toEqual(entries);
  const tornBytes = bytes.length - end;
  const keptAside = tornBytes > 0 ? `torn-${name}-${end}` : undefined;
  expect(first.log.recovery).toMatchObject({ tornBytes, keptAside, entries: entries.length });
  if (keptAside !== undefined) expect(bytes.subarray(end).equals(await disk.read(keptAside))).toBe(true);
  const second = await open(disk.kill());
  expect(second.entries).toEqual(entries);
  expect(second.log.recovery.tornBytes).toBe(0);
}

function diskWith(files: ReadonlyMap<string, Uint8Array>): SimulatedDisk {
  return new SimulatedDisk({ seed: 1, files });
}

async function open(disk: SimulatedDisk): Promise<{ log: Log; entries: string[] }> {
  const entries: string[] = [];
  const log = await Log.open({
    disk,
    world: { ...realWorld, randomBytes: () => salt },
    onEntry: (entry) => void entries.push(Buffer.from(entry).toString()),
    segmentBytes: Infinity,
    onDurable: () => undefined,
  });
  return { log, entries };
}

function flipped(bytes: Buffer, at: number, mask = 0xff): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeUInt8(copy.readUInt8(at) ^ mask, at);
  return copy;
}

function begunChain(): RecordChain {
  return new RecordChain(salt, logBeginning);
}

function headerOf(segment: number): Buffer {
  return encodeHeader('log', { number: segment, salt, position: logBeginning });
}

function makePieces(): Buffer[] {
  const chain = begunChain();
  const made = [headerOf(1)];
  for (const [watermark, group] of [['a1', 'a2'], ['b'], ['c']].entries()) {
    made.push(
      chain.group(
        group.map((entry) => Buffer.from(entry)),
        watermark,
      ),
      chain.mark(),
    );
  }
  expect(made[2]?.length).toBe(recordHeaderBytes);
  return made;
}
