import { DamagedError } from '../../kv/errors.ts';
import { type FileHeader, headerBytes, readHeader } from './file-header.ts';
import {
  type ChainPosition,
  findRecord,
  type LogRecord,
  readRecord,
  RecordChain,
  recordHeaderBytes,
} from './log-format.ts';

/**
 * Reading a segment back, and telling what a crash leaves from what it cannot leave.
 *
 * The writer appends a group and syncs; only when that sync is done does it append anything more: a mark, or the next group,
 * either of which says by its watermark that the group is durable. So at a power cut at most these bytes are unsynced: the
 * mark after the newest durable group, and one group after it. Any part of them may be missing, in any order, and nothing
 * else. From this follows each verdict on the first place where no intact record stands that continues the chain:
 *
 * - Nothing intact follows: a *torn tail*. It is copied aside, then cut off. That goes for a tail of zeros as well, which is
 *   what many file systems show where a size became durable and the bytes did not.
 * - It has the size of a mark, and the next group stands intact behind it and continues the chain: a *lost mark*, if no
 *   watermark says that the group was durable (for then the mark before it was, too). The mark can only have been one
 *   thing, so it is written again.
 * - Anything else: *damage*. A group that was acknowledged cannot be read, so opening is refused and nothing is changed.
 *
 * A segment that another one follows was *sealed*: it ends in a mark, and was synced with it before anything was written to the
 * next one. So it has to be whole.
 */
export interface SegmentScan {
  readonly header: FileHeader;
  readonly groups: readonly LogRecord[];
  /** What the next record continues. */
  readonly chain: RecordChain;
  /** Whether the last record is a mark, or there is none. */
  readonly marked: boolean;
  readonly lostMark: { readonly offset: number; readonly bytes: Uint8Array } | undefined;
  /** Where the newest group ends that a watermark says is durable; the header's end where none does. */
  readonly durableEnd: number;
  /** Where the last intact record ends. What is behind it is a torn tail. */
  readonly end: number;
}

export interface SegmentFile {
  readonly name: string;
  /** As the name has it. */
  readonly number: number;
  readonly bytes: Buffer;
  /** What its first group continues. */
  readonly from: ChainPosition;
}

/** Judges a segment. Throws DamagedError. */
export function scanSegment(segment: SegmentFile): SegmentScan {
  const walk = new Walk(segment, headerOf(segment));
  while (walk.step());
  return walk.finish();
}

/** Judges a segment that another one follows. Throws DamagedError. */
export function scanSealedSegment(segment: SegmentFile): SegmentScan {
  const scan = scanSegment(segment);
  if (scan.end < segment.bytes.length) {
    throw new DamagedError(segment.name, scan.end, 'no record can be read here, but a later segment follows');
  }
  if (!scan.marked)
    throw new DamagedError(segment.name, scan.end, 'it ends without a mark, but a later segment follows');
  return scan;
}

/**
 * A segment gets its name only after its header is durable (log-segment.ts), so that no crash leaves a named one without:
 * a header that is missing or wrong is damage, in an empty file too.
 */
function headerOf({ name, number, bytes }: SegmentFile): FileHeader {
  const read = readHeader('log', number, bytes);
  if (read.kind === 'bad') throw new DamagedError(name, 0, read.reason);
  return read.header;
}

class Walk {
  readonly #name: string;
  readonly #header: FileHeader;
  readonly #bytes: Buffer;
  readonly #from: ChainPosition;
  readonly #groups: LogRecord[] = [];
  #end = headerBytes('log');
  #marked = true;
  #watermark: number;
  #lostMark: { readonly offset: number; readonly sequence: number; readonly bytes: Uint8Array } | undefined;

  constructor({ name, bytes, from }: SegmentFile, header: FileHeader) {
    this.#name = name;
    this.#header = header;
    this.#bytes = bytes;
    this.#from = from;
    this.#watermark = from.sequence;
  }

  /** Takes in the next record; false where none stands that may be taken in. */
  step(): boolean {
    const record = readRecord(this.#bytes, this.#end, this.#header.salt) ?? this.#groupBehindLostMark();
    if (record === undefined) return false;
    this.#checkPlace(record);
    this.#end = record.end;
    this.#watermark = Math.max(this.#watermark, record.watermark);
    this.#marked = record.entryCount === 0;
    if (!this.#marked) this.#groups.push(record);
    return true;
  }

  finish(): SegmentScan {
    this.#refuseDamage();
    return {
      header: this.#header,
      groups: this.#groups,
      chain: this.#chain(),
      marked: this.#marked,
      lostMark: this.#lostMark,
      durableEnd: this.#groups[this.#watermark - this.#from.sequence - 1]?.end ?? headerBytes('log'),
      end: this.#end,
    };
  }

  get #sequence(): number {
    return this.#position.sequence;
  }

  get #position(): ChainPosition {
    return this.#groups.at(-1) ?? this.#from;
  }

  #chain(): RecordChain {
    return new RecordChain(this.#header.salt, this.#position);
  }

  #groupBehindLostMark(): LogRecord | undefined {
    if (this.#marked || this.#lostMark !== undefined) return undefined;
    const next = readRecord(this.#bytes, this.#end + recordHeaderBytes, this.#header.salt);
    const continues = next?.sequence === this.#sequence + 1 && next.previous === this.#position.checksum;
    if (next === undefined || !continues) return undefined;
    this.#lostMark = { offset: this.#end, sequence: next.sequence, bytes: this.#chain().mark() };
    return next;
  }

  /** An intact record that does not belong where it stands: no crash puts it there. */
  #checkPlace(record: LogRecord): void {
    const mark = record.entryCount === 0;
    const sequence = mark ? this.#sequence : this.#sequence + 1;
    if (record.sequence !== sequence) {
      throw this.#damaged(record.offset, `it goes on with group ${record.sequence} where ${sequence} is due`);
    }
    if (record.previous !== this.#position.checksum) {
      throw this.#damaged(record.offset, 'the chain of checksums is broken');
    }
    if (record.watermark > this.#sequence) {
      throw this.#damaged(record.offset, `its watermark ${record.watermark} is ahead of the log`);
    }
  }

  #refuseDamage(): void {
    if (this.#lostMark !== undefined && this.#watermark >= this.#lostMark.sequence) {
      throw this.#damaged(this.#lostMark.offset, 'a mark cannot be read, and what was written after it was durable');
    }
    // A mark has the number of the group that it follows, so it is found here although its group cannot be read.
    const later = findRecord(this.#bytes, this.#end + 8, this.#header.salt, this.#sequence + 1);
    if (later !== undefined) {
      throw this.#damaged(this.#end, `no record can be read here, but one follows at byte ${later.offset}`);
    }
  }

  #damaged(offset: number, reason: string): DamagedError {
    return new DamagedError(this.#name, offset, reason);
  }
}
