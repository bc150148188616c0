import type { Entry } from '../../kv/store.ts';
import { decodeKey, type EncodedKey, type EncodedRange } from '../../kv/tuple.ts';
import { readValue, type Value } from '../../kv/value.ts';
import { formatVersion } from './database.ts';
import type { KeptVersion, VersionedMap } from './versioned-map.ts';

export function valueOf(version: KeptVersion | undefined): Value | undefined {
  if (version?.value === undefined) return undefined;
  return readValue({ value: version.value, hasBytes: version.hasBytes });
}

export function entryOf(key: EncodedKey, version: KeptVersion | undefined): Entry | undefined {
  const value = valueOf(version);
  if (version === undefined || value === undefined) return undefined;
  return Object.freeze({ key: decodeKey(key), value, version: formatVersion(version.version) });
}

/** A scan that stops soon should not fetch much; one that goes on should not often have to find its place again. */
const chunkEntries = Object.freeze({ first: 16, max: 256 });

/** The keys of a range with what a snapshot sees of them, tombstones included, while the map changes. */
export function* entriesIn(
  map: VersionedMap,
  range: EncodedRange,
  sequence: number,
  reverse: boolean,
): Generator<readonly [EncodedKey, Entry | undefined]> {
  let after: EncodedKey | undefined;
  for (let count: number = chunkEntries.first; ; count = Math.min(count * 2, chunkEntries.max)) {
    const chunk = map.chunk(range, after, count, reverse);
    for (const newest of chunk) {
      const version = map.visible(newest, sequence);
      if (version !== undefined) yield [newest.key, entryOf(newest.key, version)];
      after = newest.key;
    }
    if (chunk.length < count) return;
  }
}
