import { type FileKind, headerBytes, readHeader } from './file-header.ts';
import { findRecord, type LogRecord, readRecord, saltBytes } from './log-format.ts';

/**
 * What is whole in a file, however damaged it is: for who looks at it, and for who saves what can be saved. Opening never reads
 * like this.
 */
export interface RecordsReading {
  /** All that are intact, in the order of the file; without those that are older than what stands before them. */
  readonly groups: readonly LogRecord[];
  readonly gaps: readonly Gap[];
  /** The newest group that is known of. */
  readonly lastGroup: number;
}

/** Bytes that are no intact record, and which groups must have stood there. */
export interface Gap {
  readonly from: number;
  readonly to: number;
  readonly firstMissing: number;
  /** Less than `firstMissing` where no group is missing: it was a mark. `undefined` at the end, where nobody can tell. */
  readonly lastMissing: number | undefined;
}

/** Which groups a gap has swallowed; `undefined` where none. */
export function missingGroups({ firstMissing, lastMissing }: Gap): string | undefined {
  if (lastMissing === undefined) return `groups from ${firstMissing} on, if there were any`;
  if (lastMissing < firstMissing) return undefined;
  return lastMissing === firstMissing ? `group ${firstMissing}` : `groups ${firstMissing} to ${lastMissing}`;
}

/** `before` is the group that the file's first one comes after. */
export function readRecords(kind: FileKind, number: number, bytes: Buffer, before: number): RecordsReading {
  const salt = saltOf(kind, number, bytes);
  const groups: LogRecord[] = [];
  const gaps: Gap[] = [];
  if (salt === undefined) {
    gaps.push({ from: 0, to: bytes.length, firstMissing: before + 1, lastMissing: undefined });
    return { groups, gaps, lastGroup: before };
  }
  let at = headerBytes(kind);
  let sequence = before;
  while (at < bytes.length) {
    const record = readRecord(bytes, at, salt) ?? findRecord(bytes, at + 8, salt, sequence);
    const firstMissing = sequence + 1;
    if (record === undefined) {
      gaps.push({ from: at, to: bytes.length, firstMissing, lastMissing: undefined });
      break;
    }
    const isMark = record.entryCount === 0;
    const lastMissing = isMark ? record.sequence : record.sequence - 1;
    if (record.offset > at || lastMissing >= firstMissing) {
      gaps.push({ from: at, to: record.offset, firstMissing, lastMissing });
    }
    // What is intact and older than what stands before it was written to the wrong place, and would take back what came after.
    if (!isMark && record.sequence > sequence) groups.push(record);
    sequence = Math.max(sequence, record.sequence);
    at = record.end;
  }
  return { groups, gaps, lastGroup: sequence };
}

/** Where a record has its salt; docs/log-format.md. */
const recordSaltAt = 24;

/** The header's, or, where that is damaged, that of the record behind it. */
function saltOf(kind: FileKind, number: number, bytes: Buffer): Uint8Array | undefined {
  const read = readHeader(kind, number, bytes);
  if (read.kind === 'header') return read.header.salt;
  const first = headerBytes(kind);
  const salt = Uint8Array.from(bytes.subarray(first + recordSaltAt, first + recordSaltAt + saltBytes));
  if (salt.length < saltBytes) return undefined;
  return readRecord(bytes, first, salt) === undefined ? undefined : salt;
}
