import { ByteReader, ByteWriter } from '../../kv/bytes.ts';
import type { EncodedKey } from '../../kv/tuple.ts';
import { parseValue, writeValue } from '../../kv/value-codec.ts';
import { holdsBytes, type StoredValue, type Value } from '../../kv/value.ts';

/** What the log's entries mean. Each begins with its kind. */
export type LogEntry = CommitEntry | MarkEntry | PortionEntry | IncarnationEntry;

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

/** Part of a checkpoint or a backup: live entries, each with the version that it had. */
export interface PortionEntry {
  readonly kind: 'portion';
  readonly entries: readonly { readonly key: EncodedKey; readonly version: number; readonly stored: KeptValue }[];
}

/** Which life of the data this is: it begins with the store, and again with each restored copy. */
export interface IncarnationEntry {
  readonly kind: 'incarnation';
  readonly id: string;
  /** When it began, by the store's clock. */
  readonly sinceMs: number;
  /** The incarnation of whose backup this one was made. */
  readonly restoredFrom: string | undefined;
}

export interface LoggedWrite {
  readonly key: EncodedKey;
  /** `undefined` is a deletion. */
  readonly stored: KeptValue | undefined;
}

/** A value, and whether a read of it must copy. */
export type KeptValue = Omit<StoredValue, 'bytes'>;

const kinds = Object.freeze({ commit: 1, mark: 2, portion: 3, incarnation: 4 });

/** Makes a portion, bit by bit. */
export class PortionWriter {
  #writer = new ByteWriter();
  #isEmpty = true;

  get bytes(): number {
    return this.#writer.length;
  }

  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  add(key: EncodedKey, version: number, value: Value): void {
    if (this.#isEmpty) this.#writer.byte(kinds.portion);
    this.#isEmpty = false;
    this.#writer.varint(version);
    this.#writer.text(key, 'latin1');
    writeValue(this.#writer, value);
  }

  /** The encoded entry. What is added from now on goes into another one. */
  finish(): Uint8Array {
    const bytes = this.#writer.finish();
    this.#writer = new ByteWriter();
    this.#isEmpty = true;
    return bytes;
  }
}

export function encodeEntry(entry: Exclude<LogEntry, PortionEntry>): Uint8Array {
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
    case 'incarnation':
      writer.text(entry.id, 'latin1');
      writer.varint(entry.sinceMs);
      writer.text(entry.restoredFrom ?? '', 'latin1');
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
      return { kind: 'portion', entries: decodePortion(reader) };
    case kinds.incarnation: {
      const id = reader.text('latin1');
      const sinceMs = reader.varint();
      const restoredFrom = reader.text('latin1');
      return { kind: 'incarnation', id, sinceMs, restoredFrom: restoredFrom === '' ? undefined : restoredFrom };
    }
    default:
      throw new Error(`assertion failed: a log entry's kind is known, found ${kind}`);
  }
}

function encodeWrite(writer: ByteWriter, write: LoggedWrite): void {
  writer.text(write.key, 'latin1');
  writer.byte(write.stored === undefined ? 0 : 1);
  if (write.stored !== undefined) writeValue(writer, write.stored.value);
}

function decodePortion(reader: ByteReader): PortionEntry['entries'] {
  const entries: PortionEntry['entries'][number][] = [];
  while (!reader.atEnd) {
    entries.push({ version: reader.varint(), key: reader.text('latin1'), stored: decodeValue(reader) });
  }
  return entries;
}

function decodeWrite(reader: ByteReader): LoggedWrite {
  const key = reader.text('latin1');
  return { key, stored: reader.byte() === 0 ? undefined : decodeValue(reader) };
}

/** What was written was checked then. */
function decodeValue(reader: ByteReader): KeptValue {
  const value = parseValue(reader);
  return { value, hasBytes: holdsBytes(value) };
}
