import { ByteReader, ByteWriter } from '../../kv/bytes.ts';
import type { EncodedKey } from '../../kv/tuple.ts';
import { parseValue, writeValue } from '../../kv/value-codec.ts';
import { storeValue, type StoredValue } from '../../kv/value.ts';

/** What the log's entries mean. Each begins with its kind. */
export type LogEntry = CommitEntry | MarkEntry | PortionEntry;

/** One transaction's writes: the sums of additions, not the additions, so that replaying needs no order but the log's. */
export interface CommitEntry {
  readonly kind: 'commit';
  readonly version: number;
  /** The transaction's `now`. */
  readonly now: number;
  readonly writes: readonly LoggedWrite[];
}

/** What must not go back: versions up to the ceiling may have been given out, and so may times up to `now`. */
export interface MarkEntry {
  readonly kind: 'mark';
  readonly versionCeiling: number;
  readonly now: number;
}

/** Part of a log that was written anew: live entries, each with the version that it had. */
export interface PortionEntry {
  readonly kind: 'portion';
  readonly entries: readonly (LoggedWrite & { readonly version: number })[];
}

export interface LoggedWrite {
  readonly key: EncodedKey;
  /** `undefined` is a deletion. */
  readonly stored: StoredValue | undefined;
}

const kinds = Object.freeze({ commit: 1, mark: 2, portion: 3 });

export function encodeEntry(entry: LogEntry): Uint8Array {
  const writer = new ByteWriter();
  writer.byte(kinds[entry.kind]);
  switch (entry.kind) {
    case 'commit':
      writer.varint(entry.version);
      writer.varint(entry.now);
      writer.varint(entry.writes.length);
      for (const write of entry.writes) encodeWrite(writer, write);
      break;
    case 'mark':
      writer.varint(entry.versionCeiling);
      writer.varint(entry.now);
      break;
    case 'portion':
      writer.varint(entry.entries.length);
      for (const write of entry.entries) {
        writer.varint(write.version);
        encodeWrite(writer, write);
      }
      break;
  }
  return writer.finish();
}

export function decodeEntry(bytes: Uint8Array): LogEntry {
  const reader = new ByteReader(bytes);
  const kind = reader.byte();
  switch (kind) {
    case kinds.commit:
      return {
        kind: 'commit',
        version: reader.varint(),
        now: reader.varint(),
        writes: Array.from({ length: reader.varint() }, () => decodeWrite(reader)),
      };
    case kinds.mark:
      return { kind: 'mark', versionCeiling: reader.varint(), now: reader.varint() };
    case kinds.portion:
      return {
        kind: 'portion',
        entries: Array.from({ length: reader.varint() }, () => ({ version: reader.varint(), ...decodeWrite(reader) })),
      };
    default:
      throw new Error(`assertion failed: a log entry's kind is known, found ${kind}`);
  }
}

function encodeWrite(writer: ByteWriter, write: LoggedWrite): void {
  writer.text(write.key, 'latin1');
  writer.byte(write.stored === undefined ? 0 : 1);
  if (write.stored !== undefined) writeValue(writer, write.stored.value);
}

function decodeWrite(reader: ByteReader): LoggedWrite {
  const key = reader.text('latin1');
  return { key, stored: reader.byte() === 0 ? undefined : storeValue(parseValue(reader)) };
}
