import { DamagedError } from '../../kv/errors.ts';
import { decodeEntry } from './commit-codec.ts';
import type { Disk } from './disk.ts';
import { type FileKind, headerBytes, logBeginning } from './file-header.ts';
import { type ChainPosition, entriesOf } from './log-format.ts';
import { scanSealedSegment, scanSegment } from './log-scan.ts';
import { backupName, checkpointName, isUnfinished, numberIn, segmentName } from './log-segment.ts';
import { readRecords, type RecordsReading } from './records-reading.ts';
import { readStateFile, stateFileHeader } from './state-file.ts';

/** All that looking at a store needs of a disk; nothing of it changes anything. */
export type ReadableDisk = Pick<Disk, 'list' | 'read'>;

export interface StoreInspection {
  /**
   * What opening, or restoring where it is a backup, would make of it: `intact`; `torn`, a crash's doing, which opening repairs;
   * `rotten`, which is refused; `none` where a crash left nothing that was begun.
   */
  readonly verdict: Verdict['kind'] | 'none';
  readonly files: readonly FileInspection[];
}

export type Verdict =
  | { readonly kind: 'intact' }
  /** What is behind `offset` was never acknowledged, and opening cuts it off. */
  | { readonly kind: 'torn'; readonly offset: number }
  | { readonly kind: 'rotten'; readonly offset: number; readonly reason: string };

export interface FileInspection {
  readonly name: string;
  readonly bytes: number;
  readonly kind: FileKind | 'missing' | 'superseded' | 'unfinished' | 'kept-aside' | 'lock' | 'foreign';
  /** Of what opening or restoring reads, or misses. */
  readonly verdict: Verdict | undefined;
  readonly content: FileContent | undefined;
}

/** What is whole in a file. */
export interface FileContent extends Pick<RecordsReading, 'gaps' | 'lastGroup'> {
  readonly groups: number;
  readonly entries: number;
  readonly commits: number;
  /** The newest version that was written. */
  readonly lastVersion: number;
}

/**
 * Looks at each file of a store's directory, or of a backup's. It judges in the order of log-recovery.ts and with the same
 * scans, but goes on where opening would end, and changes nothing.
 */
export async function inspectStore(disk: ReadableDisk): Promise<StoreInspection> {
  const names = (await disk.list()).toSorted();
  const judged = [...(await inspectBackup(disk, names)), ...(await inspectLog(disk, names))];
  const others: FileInspection[] = [];
  for (const name of names) {
    if (judged.some((file) => file.name === name)) continue;
    const { length } = await disk.read(name);
    others.push({ name, bytes: length, kind: kindOf(name), verdict: undefined, content: undefined });
  }
  const files = [...judged, ...others].toSorted((a, b) => (a.name < b.name ? -1 : 1));
  return { verdict: worst(judged), files };
}

function kindOf(name: string): FileInspection['kind'] {
  if (name === 'lock') return 'lock';
  if (isUnfinished(name)) return 'unfinished';
  if (name.startsWith('torn-')) return 'kept-aside';
  return numberIn('log', name) === undefined && numberIn('checkpoint', name) === undefined ? 'foreign' : 'superseded';
}

function worst(files: readonly FileInspection[]): StoreInspection['verdict'] {
  const kinds = files.map(({ verdict }) => verdict?.kind);
  if (kinds.length === 0) return 'none';
  return (['rotten', 'torn'] as const).find((kind) => kinds.includes(kind)) ?? 'intact';
}

async function inspectBackup(disk: ReadableDisk, names: readonly string[]): Promise<readonly FileInspection[]> {
  return names.includes(backupName) ? [(await inspectState(disk, 'backup', 1)).file] : [];
}

/** The newest checkpoint and the segments from its number on. */
async function inspectLog(disk: ReadableDisk, names: readonly string[]): Promise<readonly FileInspection[]> {
  const numbers = (kind: 'log' | 'checkpoint'): number[] => names.flatMap((name) => numberIn(kind, name) ?? []);
  const checkpoint = numbers('checkpoint').at(-1);
  const files: FileInspection[] = [];
  let position: ChainPosition | undefined = logBeginning;
  if (checkpoint !== undefined) {
    const state = await inspectState(disk, 'checkpoint', checkpoint);
    files.push(state.file);
    position = state.position;
  }
  const first = checkpoint ?? 1;
  const segments: Segment[] = [];
  // The newest first: should the log go over to another segment meanwhile, the one before it is read when it is sealed.
  for (const number of numbers('log').toReversed()) {
    if (number >= first) segments.unshift({ number, bytes: bufferOf(await disk.read(segmentName(number))) });
  }
  const [last, lastButOne] = segments.toReversed();
  const isEmpty = last !== undefined && last.bytes.length <= headerBytes('log');
  const tail = (isEmpty ? (lastButOne ?? last) : last)?.number ?? first;
  let due = first;
  let lastGroup = position?.sequence;
  for (const segment of segments) {
    if (segment.number > due) {
      files.push(missing(due));
      position = undefined;
    }
    const from = position ?? ownBeginning(segment);
    const { verdict, next } = judgeSegment(segment, from, tail);
    const content = contentOf('log', segment, position?.sequence ?? lastGroup ?? from.sequence);
    files.push({ name: segmentName(segment.number), bytes: segment.bytes.length, kind: 'log', verdict, content });
    position = next;
    lastGroup = content.lastGroup;
    due = segment.number + 1;
  }
  if (segments.length === 0 && checkpoint !== undefined) files.push(missing(due));
  return files;
}

interface Segment {
  readonly number: number;
  readonly bytes: Buffer;
}

function missing(number: number): FileInspection {
  const verdict = { kind: 'rotten', offset: 0, reason: 'it is missing' } as const;
  return { name: segmentName(number), bytes: 0, kind: 'missing', verdict, content: undefined };
}

/** The answer has where the next segment goes on; `undefined` where this one is damaged. */
function judgeSegment(
  { number, bytes }: Segment,
  from: ChainPosition,
  tail: number,
): { readonly verdict: Verdict; readonly next: ChainPosition | undefined } {
  const name = segmentName(number);
  try {
    const scan = (number < tail ? scanSealedSegment : scanSegment)({ name, number, bytes, from });
    const verdict: Verdict = scan.end === bytes.length ? { kind: 'intact' } : { kind: 'torn', offset: scan.end };
    return { verdict, next: scan.chain };
  } catch (error) {
    return { verdict: rotten(error), next: undefined };
  }
}

/** What a segment goes on from by its own first record, where the one before it cannot tell. */
function ownBeginning({ number, bytes }: Segment): ChainPosition {
  const { groups } = readRecords('log', number, bytes, 0);
  const [first] = groups;
  return first === undefined ? logBeginning : { sequence: first.sequence - 1, checksum: first.previous };
}

async function inspectState(
  disk: ReadableDisk,
  kind: 'checkpoint' | 'backup',
  number: number,
): Promise<{ readonly file: FileInspection; readonly position: ChainPosition | undefined }> {
  const name = kind === 'backup' ? backupName : checkpointName(number);
  const bytes = bufferOf(await disk.read(name));
  const readable = {
    size: bytes.length,
    read: async (at: number, length: number) => bytes.subarray(at, at + length),
  };
  const file = { name, bytes: bytes.length, kind, content: contentOf(kind, { number, bytes }, 0) };
  let position: ChainPosition | undefined;
  try {
    ({ position } = await stateFileHeader(readable, { kind, name, number }));
    for await (const _ of readStateFile(readable, { kind, name, number }));
    return { file: { ...file, verdict: { kind: 'intact' } }, position };
  } catch (error) {
    return { file: { ...file, verdict: rotten(error) }, position };
  }
}

function rotten(error: unknown): Verdict {
  if (!(error instanceof DamagedError)) throw error;
  return { kind: 'rotten', offset: error.offset, reason: error.reason };
}

function contentOf(kind: FileKind, { number, bytes }: Segment, before: number): FileContent {
  const { groups, gaps, lastGroup } = readRecords(kind, number, bytes, before);
  let entries = 0;
  let commits = 0;
  let lastVersion = 0;
  for (const group of groups) {
    for (const encoded of entriesOf(bytes, group)) {
      entries += 1;
      const entry = decodeEntry(encoded);
      if (entry.kind === 'commit') {
        commits += 1;
        lastVersion = Math.max(lastVersion, entry.version);
      } else if (entry.kind === 'portion') {
        for (const { version } of entry.entries) lastVersion = Math.max(lastVersion, version);
      }
    }
  }
  return { groups: groups.length, gaps, lastGroup, entries, commits, lastVersion };
}

export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
