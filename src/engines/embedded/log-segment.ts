import { assert } from '../../kv/assert.ts';
import type { World } from '../../kv/world.ts';
import type { Disk, DiskFile } from './disk.ts';
import { encodeSegmentHeader, entryBytesInGroup, readSegmentHeader, RecordChain, saltBytes } from './log-format.ts';
import { scanSegment } from './log-scan.ts';

/** A segment's file that is not complete yet. A crash may leave one; it is removed at the next opening. */
const temporarySuffix = '.tmp';
const namePattern = /^log-(\d{12})$/;

/** Bytes of a group while a whole segment is written: enough to make its header small beside it, little enough to hold twice. */
const groupBytesAimed = 1_048_576;

export function segmentName(number: number): string {
  return `log-${String(number).padStart(12, '0')}`;
}

/** The number in a segment's name; `undefined` for any other name. */
export function segmentNumber(name: string): number | undefined {
  const digits = namePattern.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

export function isUnfinishedSegment(name: string): boolean {
  return name.endsWith(temporarySuffix) && segmentNumber(name.slice(0, -temporarySuffix.length)) !== undefined;
}

export interface OpenSegment {
  readonly name: string;
  readonly number: number;
  readonly file: DiskFile;
  readonly chain: RecordChain;
}

/**
 * Writes a new segment that holds `entries`, all or nothing: under a temporary name, synced, read back and verified, and only
 * then renamed, and the directory synced. So a crash leaves either no segment of this number or a complete one.
 */
export async function createSegment(
  disk: Disk,
  world: World,
  number: number,
  entries: Iterable<Uint8Array>,
): Promise<OpenSegment> {
  const name = segmentName(number);
  const temporary = `${name}${temporarySuffix}`;
  const chain = await writeTemporary(disk, world, { temporary, number }, entries);
  await disk.rename(temporary, name);
  await disk.sync();
  return { name, number, file: await disk.open(name), chain };
}

/** There is no room for a new segment; whatever was there before is untouched. */
export class NoSpaceForSegment extends Error {}

async function writeTemporary(
  disk: Disk,
  world: World,
  { temporary, number }: { readonly temporary: string; readonly number: number },
  entries: Iterable<Uint8Array>,
): Promise<RecordChain> {
  const file = await disk.create(temporary);
  let chain: RecordChain;
  try {
    chain = writeEntries(file, number, world.randomBytes(saltBytes), entries);
    await file.sync();
  } catch (cause) {
    await file.close();
    if (!isNoSpace(cause)) throw cause;
    await disk.remove(temporary);
    throw new NoSpaceForSegment(`no space for ${temporary}`, { cause });
  }
  await file.close();
  await verify(disk, temporary, number, chain);
  return chain;
}

function isNoSpace(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && (cause.code === 'ENOSPC' || cause.code === 'EDQUOT');
}

function writeEntries(file: DiskFile, number: number, salt: Uint8Array, entries: Iterable<Uint8Array>): RecordChain {
  const header = encodeSegmentHeader(number, salt);
  const read = readSegmentHeader(header);
  assert(read.kind === 'header', 'a header that was written can be read');
  const chain = new RecordChain(salt, 0, read.header.checksum);
  file.append(header);
  for (const group of groupsOf(entries)) file.append(chain.group(group, 0));
  // True by the time that anybody reads it: the segment has its name only after it was synced.
  if (chain.sequence > 0) file.append(chain.mark());
  return chain;
}

function* groupsOf(entries: Iterable<Uint8Array>): Generator<readonly Uint8Array[]> {
  let group: Uint8Array[] = [];
  let bytes = 0;
  for (const entry of entries) {
    const entryBytes = entryBytesInGroup(entry);
    if (group.length > 0 && bytes + entryBytes > groupBytesAimed) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(entry);
    bytes += entryBytes;
  }
  if (group.length > 0) yield group;
}

/** The last link of the chain depends on every byte before it. */
async function verify(disk: Disk, name: string, number: number, written: RecordChain): Promise<void> {
  const bytes = await disk.read(name);
  const scan = scanSegment(name, number, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  const whole = scan.end === bytes.length && scan.marked === written.sequence > 0;
  if (!whole || scan.chain.sequence !== written.sequence || scan.chain.checksum !== written.checksum) {
    throw new Error(`${name} was read back and is not what was written; the disk cannot be trusted`);
  }
}
