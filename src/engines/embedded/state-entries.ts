import type { EncodedKey } from '../../kv/tuple.ts';
import { encodeEntry, type IncarnationEntry, type MarkEntry, PortionWriter } from './commit-codec.ts';
import type { VersionedMap } from './versioned-map.ts';

/** What must be said of a state before its entries. */
export interface StateFacts {
  readonly incarnation: IncarnationEntry;
  readonly mark: MarkEntry;
}

/** A slice of a state holds no more, but for a single value that is larger: a fraction of a millisecond's work. */
const sliceMax = Object.freeze({ bytes: 65_536, keys: 256 });

/**
 * A state in slices (`undefined` where one holds nothing), as a snapshot at `sequence` sees it, in the order of the keys. The map may change between two slices, while
 * the snapshot is pinned.
 */
export function* stateEntries(
  map: VersionedMap,
  sequence: number,
  facts: StateFacts,
): Generator<Uint8Array | undefined, void, void> {
  yield encodeEntry(facts.incarnation);
  yield encodeEntry(facts.mark);
  const portion = new PortionWriter();
  let after: EncodedKey | undefined;
  for (;;) {
    const chunk = map.chunk(everything, after, sliceMax.keys, false);
    for (const newest of chunk) {
      after = newest.key;
      const seen = map.visible(newest, sequence);
      if (seen?.value === undefined) continue;
      portion.add(newest.key, seen.version, seen.value);
      if (portion.bytes >= sliceMax.bytes) yield portion.finish();
    }
    // Where nothing of them was to be seen, others get their turn all the same.
    yield portion.isEmpty ? undefined : portion.finish();
    if (chunk.length < sliceMax.keys) return;
  }
}

const everything = Object.freeze({ start: '', end: undefined });
