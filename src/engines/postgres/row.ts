import { createHash } from 'node:crypto';
import { ByteReader, ByteWriter } from '../../kv/bytes.ts';
import type { Entry, Version } from '../../kv/store.ts';
import { decodeKey, type EncodedKey } from '../../kv/tuple.ts';
import type { Value } from '../../kv/value.ts';
import { parseValue, writeValue } from '../../kv/value-codec.ts';

/** A row as `pg` hands it out. */
export interface StoredRow {
  readonly key: Buffer;
  readonly value: Buffer;
  readonly version: Version;
}

export function keyBytes(key: EncodedKey): Buffer {
  return Buffer.from(key, 'latin1');
}

export function encodedKeyOf({ key }: StoredRow): EncodedKey {
  return key.toString('latin1');
}

export function valueBytes(value: Value): Buffer {
  const writer = new ByteWriter();
  writeValue(writer, value);
  return writer.finish();
}

/** Each reader gets a value of its own. */
export function valueOf(row: StoredRow): Value {
  return parseValue(new ByteReader(row.value));
}

export function entryOf(row: StoredRow): Entry {
  return Object.freeze({ key: decodeKey(encodedKeyOf(row)), value: valueOf(row), version: row.version });
}

/** The number of a key's advisory lock: two keys share one with a chance of 2^-64. */
export function lockNumber(schema: string, key: EncodedKey): string {
  const hash = createHash('sha256').update(schema).update('\0').update(key, 'latin1').digest();
  return String(hash.readBigInt64BE());
}
