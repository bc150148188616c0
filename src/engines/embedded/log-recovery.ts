import { assert } from '../../kv/assert.ts';
import { DamagedError, InvalidArgumentError } from '../../kv/errors.ts';
import type { World } from '../../kv/world.ts';
import type { Disk, DiskFile } from './disk.ts';
import { encodeHeader, headerBytes, logBeginning, readHeader } from './file-header.ts';
import { type ChainPosition, entriesOf, RecordChain } from './log-format.ts';
import { scanSealedSegment, scanSegment, type SegmentFile, type SegmentScan } from './log-scan.ts';
import {
  backupName,
  checkpointName,
  createSegment,
  type EmptySegment,
  isUnfinished,
  numberIn,
  segmentName,
} from './log-segment.ts';
import { readStateFile, stateFileHeader } from './state-file.ts';

/**
 * Opens the log of a directory: the newest checkpoint, if there is one, and the segments from its number on; else those from
 * the first one on. The last segment is the *tail*, or the last but one where the last one was made ahead and is empty still: there a
 * crash may have torn something, and the log goes on. Before it, all are sealed.
 *
 * Until all of it is found sound, nothing is changed. Only after the tail is durable are the leftovers of what was cut
 * removed: unfinished files, and what is older than the checkpoint.
 */
export async function recoverLog(
  disk: Disk,
  world: World,
  onEntry: (entry: Uint8Array) => void,
): Promise<RecoveredLog> {
  const names = await disk.list();
  if (names.includes(backupName)) {
    throw new InvalidArgumentError(
      'directory',
      backupName,
      'a store, but it holds a backup, which restoreBackup makes a store of',
    );
  }
  const { checkpoint, segments } = filesIn(names);
  const leftovers = names.filter((name) => isLeftover(name, checkpoint ?? 0));
  if (checkpoint === undefined && segments.length === 0) {
    await removeAll(disk, leftovers);
    return begunLog(await createSegment(disk, world, 1));
  }
  let entries = 0;
  const deliver = (entry: Uint8Array): void => {
    entries += 1;
    onEntry(entry);
  };
  let position: ChainPosition = logBeginning;
  let checkpointBytes = 0;
  if (checkpoint !== undefined)
    ({ position, bytes: checkpointBytes } = await readCheckpoint(disk, checkpoint, deliver));
  const sealed: SealedSegment[] = [];
  const tail = await tailOf(disk, segments);
  for (const number of segments.slice(0, segments.indexOf(tail))) {
    const segment = await readSegment(disk, number, position);
    const scan = scanSealedSegment(segment);
    deliverGroups(segment.bytes, scan, deliver);
    sealed.push({ number, bytes: segment.bytes.length });
    position = scan.chain;
  }
  const segment = await readSegment(disk, tail, position);
  const scan = scanSegment(segment);
  const next = segments.find((number) => number > tail);
  const ahead = next === undefined ? undefined : await openAhead(disk, next);
  const tornBytes = segment.bytes.length - scan.end;
  let file: DiskFile | undefined;
  let keptAside: string | undefined;
  try {
    if (tornBytes > 0) keptAside = await keepAside(disk, segment.name, scan.end, segment.bytes.subarray(scan.end));
    file = await disk.open(segment.name);
    await repairSegment(file, scan, segment.bytes);
    if (ahead !== undefined) await emptyForGood(ahead);
    await disk.sync();
    await removeAll(disk, leftovers);
    deliverGroups(segment.bytes, scan, deliver);
  } catch (cause) {
    await file?.close();
    await ahead?.file.close();
    throw cause;
  }
  const sealedBytes = sealed.reduce((sum, { bytes }) => sum + bytes, 0);
  return {
    segment: { number: tail, file, chain: scan.chain },
    marked: scan.marked,
    ahead,
    sealed,
    checkpoint,
    checkpointBytes,
    facts: {
      segment: segment.name,
      entries,
      bytes: sealedBytes + file.size,
      checkpointBytes,
      tornBytes,
      keptAside,
    },
  };
}

export interface RecoveredLog {
  readonly segment: OpenSegment;
  readonly marked: boolean;
  /** The next segment, made ahead. */
  readonly ahead: EmptySegment | undefined;
  /** Those before, which no checkpoint has made superfluous yet. */
  readonly sealed: readonly SealedSegment[];
  readonly checkpoint: number | undefined;
  /** The size of the checkpoint; 0 where there is none. */
  readonly checkpointBytes: number;
  readonly facts: Omit<LogRecovery, 'durationMs'>;
}

/** A segment to append to. */
export interface OpenSegment {
  readonly number: number;
  readonly file: DiskFile;
  readonly chain: RecordChain;
}

export interface SealedSegment {
  readonly number: number;
  readonly bytes: number;
}

export interface LogRecovery {
  /** The segment in which the log goes on. */
  readonly segment: string;
  /** Of the checkpoint and of the log since. */
  readonly entries: number;
  /** The size of the log since the checkpoint, after recovery. */
  readonly bytes: number;
  readonly checkpointBytes: number;
  /** Bytes of a torn tail that were cut off, and the file that has a copy of them. */
  readonly tornBytes: number;
  readonly keptAside: string | undefined;
  readonly durationMs: number;
}

/** The newest checkpoint, and the segments that the log consists of. @throws DamagedError where one of them is missing */
function filesIn(names: readonly string[]): {
  readonly checkpoint: number | undefined;
  readonly segments: readonly number[];
} {
  const checkpoints = names.flatMap((name) => numberIn('checkpoint', name) ?? []);
  const checkpoint = checkpoints.length === 0 ? undefined : Math.max(...checkpoints);
  const first = checkpoint ?? 1;
  const segments = names.flatMap((name) => numberIn('log', name) ?? []).filter((number) => number >= first);
  segments.sort((a, b) => a - b);
  if (segments.length === 0 && checkpoint === undefined) return { checkpoint, segments };
  for (let index = 0; index < Math.max(1, segments.length); index += 1) {
    if (segments[index] === first + index) continue;
    throw new DamagedError(segmentName(first + index), 0, 'it is missing');
  }
  return { checkpoint, segments };
}

function isLeftover(name: string, checkpoint: number): boolean {
  const number = numberIn('log', name) ?? numberIn('checkpoint', name);
  return isUnfinished(name) || (number !== undefined && number < checkpoint);
}

function begunLog({ number, file, salt }: EmptySegment): RecoveredLog {
  const bytes = file.size;
  return {
    segment: { number, file, chain: new RecordChain(salt, logBeginning) },
    marked: true,
    ahead: undefined,
    sealed: [],
    checkpoint: undefined,
    checkpointBytes: 0,
    facts: { segment: segmentName(number), entries: 0, bytes, checkpointBytes: 0, tornBytes: 0, keptAside: undefined },
  };
}

async function readCheckpoint(
  disk: Disk,
  number: number,
  deliver: (entry: Uint8Array) => void,
): Promise<{ readonly position: ChainPosition; readonly bytes: number }> {
  const name = checkpointName(number);
  const file = await disk.open(name);
  try {
    const { position } = await stateFileHeader(file, { kind: 'checkpoint', name, number });
    for await (const entry of readStateFile(file, { kind: 'checkpoint', name, number })) deliver(entry);
    return { position, bytes: file.size };
  } finally {
    await file.close();
  }
}

async function readSegment(disk: Disk, number: number, from: ChainPosition): Promise<SegmentFile> {
  const name = segmentName(number);
  const read = await disk.read(name);
  return { name, number, bytes: Buffer.from(read.buffer, read.byteOffset, read.byteLength), from };
}

/**
 * The segment in which the log goes on: the last one if there is anything behind its header, else the last but one. For a segment is made
 * ahead only while the one before it is the current one, and all before that were sealed; one to which nothing was written, too, if a
 * checkpoint was to begin behind it and could not be made.
 */
async function tailOf(disk: Disk, segments: readonly number[]): Promise<number> {
  const [last, lastButOne] = segments.toReversed();
  assert(last !== undefined, 'a log that was begun has a segment');
  const file = await disk.open(segmentName(last));
  const { size } = file;
  await file.close();
  return size > headerBytes('log') ? last : (lastButOne ?? last);
}

/** The segment behind the tail, which was made ahead. @throws DamagedError */
async function openAhead(disk: Disk, number: number): Promise<EmptySegment> {
  const { name, bytes } = await readSegment(disk, number, logBeginning);
  const read = readHeader('log', number, bytes);
  if (read.kind === 'bad') throw new DamagedError(name, 0, read.reason);
  return { number, file: await disk.open(name), salt: read.header.salt };
}

/**
 * That a segment is empty may be seen in the kernel alone: a process that died may have cut off what was torn in it. Were that to come
 * back with a power cut, it would be the tail, and the segment in which the log goes on now would have to be sealed.
 */
async function emptyForGood({ number, file, salt }: EmptySegment): Promise<void> {
  const header = encodeHeader('log', { number, salt, position: logBeginning });
  await file.truncate(header.length);
  file.overwrite(0, header);
  await file.sync();
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

function deliverGroups(bytes: Buffer, scan: SegmentScan, deliver: (entry: Uint8Array) => void): void {
  for (const group of scan.groups) for (const entry of entriesOf(bytes, group)) deliver(entry);
}
