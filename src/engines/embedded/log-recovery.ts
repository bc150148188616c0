import type { World } from '../../kv/world.ts';
import type { Disk, DiskFile } from './disk.ts';
import { entriesOf } from './log-format.ts';
import { scanSegment } from './log-scan.ts';
import type { SegmentScan } from './log-scan.ts';
import { createSegment, isUnfinishedSegment, segmentName, segmentNumber } from './log-segment.ts';
import type { OpenSegment } from './log-segment.ts';

/**
 * Opens the newest segment. Until it is found sound, nothing is changed. Only after it is durable, under its name, are the
 * leftovers of a rewrite that was cut removed: the segment before it, or an unfinished one.
 */
export async function recoverSegment(
  disk: Disk,
  world: World,
  onEntry: (entry: Uint8Array) => void,
): Promise<RecoveredSegment> {
  const names = await disk.list();
  const numbers = names.map(segmentNumber).filter((number) => number !== undefined);
  if (numbers.length === 0) {
    await removeAll(disk, names.filter(isUnfinishedSegment));
    const segment = await createSegment(disk, world, 1, []);
    const facts = { segment: segment.name, entries: 0, bytes: segment.file.size, tornBytes: 0, keptAside: undefined };
    return { segment, marked: false, facts };
  }
  const number = Math.max(...numbers);
  const name = segmentName(number);
  const read = await disk.read(name);
  const bytes = Buffer.from(read.buffer, read.byteOffset, read.byteLength);
  const scan = scanSegment(name, number, bytes);
  const tornBytes = bytes.length - scan.end;
  const keptAside = tornBytes > 0 ? await keepAside(disk, name, scan.end, bytes.subarray(scan.end)) : undefined;
  const file = await disk.open(name);
  try {
    await repairSegment(file, scan, bytes);
    await disk.sync();
    const older = numbers.filter((other) => other < number).map(segmentName);
    await removeAll(disk, [...older, ...names.filter(isUnfinishedSegment)]);
    const entries = deliver(bytes, scan, onEntry);
    const facts = { segment: name, entries, bytes: file.size, tornBytes, keptAside };
    return { segment: { name, number, file, chain: scan.chain }, marked: scan.marked, facts };
  } catch (cause) {
    await file.close();
    throw cause;
  }
}

export interface RecoveredSegment {
  readonly segment: OpenSegment;
  readonly marked: boolean;
  readonly facts: Omit<LogRecovery, 'durationMs'>;
}

export interface LogRecovery {
  readonly segment: string;
  readonly entries: number;
  /** The segment's size after recovery. */
  readonly bytes: number;
  /** Bytes of a torn tail that were cut off, and the file that has a copy of them. */
  readonly tornBytes: number;
  readonly keptAside: string | undefined;
  readonly durationMs: number;
}

/**
 * Makes a scanned segment safe to append to, and everything in it durable: a process that died may have left its last group
 * in the kernel's cache alone. If that process died of a failed sync, the kernel may moreover take the lost pages for clean,
 * and a sync alone would pass over them; so what no watermark vouches for is first written again, byte for byte, in place.
 */
async function repairSegment(file: DiskFile, scan: SegmentScan, bytes: Buffer): Promise<void> {
  if (file.size > scan.end) await file.truncate(scan.end);
  const unsure = Buffer.from(bytes.subarray(scan.durableEnd, scan.end));
  if (scan.lostMark !== undefined) unsure.set(scan.lostMark.bytes, scan.lostMark.offset - scan.durableEnd);
  if (unsure.length > 0) file.overwrite(scan.durableEnd, unsure);
  await file.sync();
}

/** Copies a torn tail into a file of its own, durably, before it is cut off. The answer is that file's name. */
async function keepAside(disk: Disk, segment: string, offset: number, tail: Uint8Array): Promise<string> {
  const taken = new Set(await disk.list());
  const plain = `torn-${segment}-${offset}`;
  let name = plain;
  // An earlier copy may be of another tail, or be partial because of a crash here. Neither is ours to remove.
  for (let count = 2; taken.has(name); count += 1) name = `${plain}-${count}`;
  const file = await disk.create(name);
  try {
    file.append(tail);
    await file.sync();
    await file.close();
  } catch (cause) {
    await file.close();
    await disk.remove(name);
    throw new Error(`copying the torn end of ${segment} aside failed; free space on the disk and open again`, {
      cause,
    });
  }
  await disk.sync();
  return name;
}

async function removeAll(disk: Disk, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  for (const name of names) await disk.remove(name);
  await disk.sync();
}

function deliver(bytes: Buffer, scan: SegmentScan, onEntry: (entry: Uint8Array) => void): number {
  let count = 0;
  for (const group of scan.groups) {
    for (const entry of entriesOf(bytes, group)) {
      onEntry(entry);
      count += 1;
    }
  }
  return count;
}
