import { InvalidArgumentError } from './errors.ts';
import type { Entry, ScanOptions } from './store.ts';
import { decodeKey, type EncodedKey } from './tuple.ts';
import { readValue, type StoredValue } from './value.ts';

/** An entry that its own transaction wrote. */
export function ownEntry(key: EncodedKey, stored: StoredValue): Entry {
  return Object.freeze({ key: decodeKey(key), value: readValue(stored), version: undefined });
}

/** @throws InvalidArgumentError */
export function checkedScan({ limit = Infinity, reverse = false }: ScanOptions): Required<ScanOptions> {
  if (limit !== Infinity && (!Number.isSafeInteger(limit) || limit < 1)) {
    throw new InvalidArgumentError('limit', limit, 'a whole number from 1');
  }
  return { limit, reverse };
}
