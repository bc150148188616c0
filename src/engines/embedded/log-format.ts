import { assert } from '../../kv/assert.ts';
import { crc32c } from './crc32c.ts';

/**
 * The bytes of the log, as docs/log-format.md draws them. All numbers are little-endian. A segment is a header and then
 * records; each begins at a multiple of 8. A record is a *group* of entries, written and synced as one, or a *mark*,
 * which has none: it says that every group before it is durable.
 *
 * Groups form a chain: each carries the checksum of the one before it (the first, of the segment's header). A mark carries
 * the checksum of the group that it follows and is itself no link, so that losing it breaks nothing.
 */
export const segmentHeaderBytes = 32;
const magic = Buffer.from('SEMELLOG', 'latin1');
const formatVersion = 1;
const segmentAt = Object.freeze({ magic: 0, version: 8, checksum: 12, salt: 16, number: 24 });

export const recordHeaderBytes = 40;
const recordAt = Object.freeze({
  checksum: 0,
  payloadBytes: 4,
  sequence: 8,
  watermark: 16,
  salt: 24,
  previous: 32,
  entryCount: 36,
});

/** A segment's own random number. Records of an earlier file, left in reused blocks, do not have it. */
export const saltBytes = 8;
const entryHeaderBytes = 4;

/**
 * Bytes of a group's entries with their lengths. Twice the largest transaction, so that one always fits; small enough for
 * one write, and a length beyond it is known to be none.
 */
export const payloadBytesMax = 33_554_432;
export const entryBytesMax = payloadBytesMax - entryHeaderBytes;

/** What an entry takes up in a group. */
export function entryBytesInGroup(entry: Uint8Array): number {
  return entryHeaderBytes + entry.length;
}

export interface SegmentHeader {
  readonly number: number;
  readonly salt: Uint8Array;
  /** The first link of the chain. */
  readonly checksum: number;
}

export type SegmentHeaderRead =
  | { readonly kind: 'header'; readonly header: SegmentHeader }
  | { readonly kind: 'bad'; readonly reason: string };

export function encodeSegmentHeader(number: number, salt: Uint8Array): Buffer {
  assert(salt.length === saltBytes, 'a salt has its length');
  const bytes = Buffer.alloc(segmentHeaderBytes);
  bytes.set(magic, segmentAt.magic);
  bytes.writeUInt32LE(formatVersion, segmentAt.version);
  bytes.set(salt, segmentAt.salt);
  bytes.writeBigUInt64LE(BigInt(number), segmentAt.number);
  bytes.writeUInt32LE(segmentChecksum(bytes), segmentAt.checksum);
  return bytes;
}

export function readSegmentHeader(bytes: Buffer): SegmentHeaderRead {
  if (bytes.length < segmentHeaderBytes)
    return { kind: 'bad', reason: `it ends after ${bytes.length} bytes, within its header` };
  if (!magic.equals(bytes.subarray(0, magic.length))) return { kind: 'bad', reason: 'it does not begin as a log does' };
  const checksum = bytes.readUInt32LE(segmentAt.checksum);
  if (checksum !== segmentChecksum(bytes)) return { kind: 'bad', reason: "its header's checksum is wrong" };
  const version = bytes.readUInt32LE(segmentAt.version);
  if (version !== formatVersion) {
    return { kind: 'bad', reason: `it has format version ${version}; this release reads version ${formatVersion}` };
  }
  const salt = Uint8Array.from(bytes.subarray(segmentAt.salt, segmentAt.salt + saltBytes));
  const number = Number(bytes.readBigUInt64LE(segmentAt.number));
  return { kind: 'header', header: { number, salt, checksum } };
}

/** Covers the whole header, itself taken as zero. */
function segmentChecksum(bytes: Uint8Array): number {
  const copy = Buffer.from(bytes.subarray(0, segmentHeaderBytes));
  copy.writeUInt32LE(0, segmentAt.checksum);
  return crc32c(copy);
}

/** A record that was read, its checksum found right. `end` is the offset of what follows it. */
export interface LogRecord {
  readonly offset: number;
  readonly end: number;
  readonly checksum: number;
  /** Of a group: its number, 1 for a segment's first. Of a mark: that of the group before it. */
  readonly sequence: number;
  /** The newest group that was known to be durable when this was written. */
  readonly watermark: number;
  readonly previous: number;
  /** 0 in a mark. */
  readonly entryCount: number;
}

/** The record at `offset` of a segment with this salt; `undefined` where none stands there whole and intact. */
export function readRecord(bytes: Buffer, offset: number, salt: Uint8Array): LogRecord | undefined {
  if (offset + recordHeaderBytes > bytes.length) return undefined;
  if (bytes.compare(salt, 0, saltBytes, offset + recordAt.salt, offset + recordAt.salt + saltBytes) !== 0)
    return undefined;
  const payloadBytes = bytes.readUInt32LE(offset + recordAt.payloadBytes);
  if (payloadBytes > payloadBytesMax) return undefined;
  const end = offset + recordBytes(payloadBytes);
  if (end > bytes.length) return undefined;
  const checksum = bytes.readUInt32LE(offset + recordAt.checksum);
  if (checksum !== crc32c(bytes, offset + recordAt.payloadBytes, end)) return undefined;
  return {
    offset,
    end,
    checksum,
    sequence: Number(bytes.readBigUInt64LE(offset + recordAt.sequence)),
    watermark: Number(bytes.readBigUInt64LE(offset + recordAt.watermark)),
    previous: bytes.readUInt32LE(offset + recordAt.previous),
    entryCount: bytes.readUInt32LE(offset + recordAt.entryCount),
  };
}

/** Any intact record of this segment that begins at `from` or later and is of group `sequence` or a later one. */
export function findRecord(bytes: Buffer, from: number, salt: Uint8Array, sequence: number): LogRecord | undefined {
  let at = bytes.indexOf(salt, from + recordAt.salt);
  for (; at !== -1; at = bytes.indexOf(salt, at + 1)) {
    const offset = at - recordAt.salt;
    if (offset % 8 !== 0) continue;
    const record = readRecord(bytes, offset, salt);
    if (record !== undefined && record.sequence >= sequence) return record;
  }
  return undefined;
}

/** The entries of a group, as views of `bytes`. */
export function* entriesOf(bytes: Buffer, record: LogRecord): Generator<Uint8Array> {
  let at = record.offset + recordHeaderBytes;
  for (let index = 0; index < record.entryCount; index += 1) {
    const start = at + entryHeaderBytes;
    const end = start + bytes.readUInt32LE(at);
    assert(end <= record.end, 'the entries of an intact record lie within it');
    yield bytes.subarray(start, end);
    at = end;
  }
}

/** The growing end of a segment: what it appends, in bytes, and the state that the next record continues. */
export class RecordChain {
  readonly #salt: Uint8Array;
  #sequence: number;
  #checksum: number;

  constructor(salt: Uint8Array, sequence: number, checksum: number) {
    this.#salt = salt;
    this.#sequence = sequence;
    this.#checksum = checksum;
  }

  /** The newest group's. */
  get sequence(): number {
    return this.#sequence;
  }

  get checksum(): number {
    return this.#checksum;
  }

  group(entries: readonly Uint8Array[], watermark: number): Buffer {
    assert(entries.length > 0, 'a group has an entry');
    const bytes = this.#record(entries, this.#sequence + 1, watermark);
    this.#sequence += 1;
    this.#checksum = bytes.readUInt32LE(recordAt.checksum);
    return bytes;
  }

  /** Says that every group up to now is durable. */
  mark(): Buffer {
    return this.#record([], this.#sequence, this.#sequence);
  }

  #record(entries: readonly Uint8Array[], sequence: number, watermark: number): Buffer {
    const payloadBytes = entries.reduce((sum, entry) => sum + entryBytesInGroup(entry), 0);
    assert(payloadBytes <= payloadBytesMax, 'a group keeps to its limit');
    const bytes = Buffer.allocUnsafe(recordBytes(payloadBytes));
    bytes.writeUInt32LE(payloadBytes, recordAt.payloadBytes);
    bytes.writeBigUInt64LE(BigInt(sequence), recordAt.sequence);
    bytes.writeBigUInt64LE(BigInt(watermark), recordAt.watermark);
    bytes.set(this.#salt, recordAt.salt);
    bytes.writeUInt32LE(this.#checksum, recordAt.previous);
    bytes.writeUInt32LE(entries.length, recordAt.entryCount);
    let at = recordHeaderBytes;
    for (const entry of entries) {
      at = bytes.writeUInt32LE(entry.length, at);
      bytes.set(entry, at);
      at += entry.length;
    }
    bytes.fill(0, at);
    bytes.writeUInt32LE(crc32c(bytes, recordAt.payloadBytes), recordAt.checksum);
    return bytes;
  }
}

function recordBytes(payloadBytes: number): number {
  return recordHeaderBytes + Math.ceil(payloadBytes / 8) * 8;
}
