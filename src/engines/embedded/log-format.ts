import { assert } from '../../kv/assert.ts';
import { crc32c } from './crc32c.ts';

/**
 * The records of a store's files, as docs/log-format.md draws them. All numbers are little-endian. A file is a header
 * (file-header.ts) and then records; each begins at a multiple of 8. A record is a *group* of entries, written and synced as
 * one, or a *mark*, which has none: it says that every group before it is durable.
 *
 * Groups form a chain, which goes on from one segment of the log to the next: each carries the checksum of the one before it.
 * A mark carries the checksum of the group that it follows and is itself no link, so that losing it breaks nothing.
 */
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

/** A file's own random number. Records of an earlier file, left in reused blocks, do not have it. */
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

/** A place in the chain: behind which group, and what that one's checksum is. */
export interface ChainPosition {
  /** The group's number; 0 at the beginning of a log. */
  readonly sequence: number;
  readonly checksum: number;
}

/** A record that was read, its checksum found right. `end` is the offset of what follows it. */
export interface LogRecord {
  readonly offset: number;
  readonly end: number;
  readonly checksum: number;
  /** Of a group: its number, 1 for the first of all. Of a mark: that of the group before it. */
  readonly sequence: number;
  /** The newest group that was known to be durable when this was written. */
  readonly watermark: number;
  readonly previous: number;
  /** 0 in a mark. */
  readonly entryCount: number;
}

/** The record at `offset` of a file with this salt; `undefined` where none stands there whole and intact. */
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

/** The growing end of a file: what it appends, in bytes, and the state that the next record continues. */
export class RecordChain implements ChainPosition {
  readonly #salt: Uint8Array;
  #sequence: number;
  #checksum: number;

  constructor(salt: Uint8Array, { sequence, checksum }: ChainPosition) {
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
