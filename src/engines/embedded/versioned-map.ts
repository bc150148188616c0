import btree from 'sorted-btree';
import type { StoredValue, Value } from '../../kv/value.ts';
import type { EncodedKey, EncodedRange } from '../../kv/tuple.ts';
import { assert } from '../../kv/assert.ts';

/**
 * The map with its history: for each key a chain of versions, newest first.
 *
 * Two indexes over the same chains: a hash map for points, and a B+tree for order, which costs four times as much to
 * ask (measured over 500,000 keys); so only scans and new keys pay for it.
 *
 * Old versions are collected as soon as nobody can ask for them. A version superseded at sequence `s` is needed while a
 * snapshot older than `s` may be taken or is in use; the *horizon* is the oldest such snapshot. Superseded chains stand
 * in a queue in the order of `s`, so each step forward of the horizon touches exactly the chains that it frees. A
 * tombstone that has become the only version goes with its key.
 */
export class VersionedMap {
  readonly #chains = new Map<EncodedKey, Chain>();
  readonly #order = new btree.default<EncodedKey, Chain>(undefined, compareKeys);
  /** The queue, as two lists of one length: a pair for each entry would be garbage that has grown old. */
  readonly #supersededChains: Chain[] = [];
  readonly #supersededAt: number[] = [];
  #supersededFrom = 0;
  #versions = 0;

  get keys(): number {
    return this.#chains.size;
  }

  /** All versions kept, old ones and tombstones included. */
  get versions(): number {
    return this.#versions;
  }

  newest(key: EncodedKey): KeptVersion | undefined {
    return this.#chains.get(key)?.newest;
  }

  /** What a snapshot at `sequence` sees: a version, maybe a tombstone, or nothing. */
  at(key: EncodedKey, sequence: number): KeptVersion | undefined {
    return visible(this.#chains.get(key)?.newest, sequence);
  }

  /** Puts a new version in front of its chain. Sequences only grow. */
  install(key: EncodedKey, sequence: number, version: number, stored: StoredValue | undefined): void {
    const chain = this.#chains.get(key);
    if (chain === undefined) {
      // Deleting what is not there leaves nothing to remember: whoever read its absence reads the same.
      if (stored === undefined) return;
      const first = { key, newest: keep(sequence, version, stored, undefined) };
      this.#chains.set(key, first);
      this.#order.set(key, first);
    } else {
      assert(chain.newest.sequence <= sequence, 'sequences grow along a chain');
      chain.newest = keep(sequence, version, stored, chain.newest);
      this.#supersededChains.push(chain);
      this.#supersededAt.push(sequence);
    }
    this.#versions++;
  }

  /**
   * Up to `count` chains of a range whose keys lie beyond `after`, in the direction asked for. Between two calls the map
   * may change: a scan holds keys, not positions.
   */
  chunk(range: EncodedRange, after: EncodedKey | undefined, count: number, reverse: boolean): readonly Chain[] {
    const chains: Chain[] = [];
    const entries = reverse
      ? this.#order.entriesReversed(after ?? range.end, undefined, true)
      : this.#order.entries(after ?? range.start);
    for (const [key, chain] of entries) {
      if (key === after || (reverse && key === range.end)) continue;
      if (reverse ? key < range.start : range.end !== undefined && key >= range.end) break;
      chains.push(chain);
      if (chains.length === count) break;
    }
    return chains;
  }

  /** Every chain, in no particular order. */
  chains(): Iterable<Chain> {
    return this.#chains.values();
  }

  /** Whether a range holds anything newer than `sequence`; if so, the keys, up to `count`. */
  changedIn(range: EncodedRange, sequence: number, count: number): readonly EncodedKey[] {
    const changed: EncodedKey[] = [];
    for (const [key, chain] of this.#order.entries(range.start)) {
      if (range.end !== undefined && key >= range.end) break;
      if (chain.newest.sequence > sequence) changed.push(key);
      if (changed.length === count) break;
    }
    return changed;
  }

  /**
   * Lets go of what no snapshot from `horizon` on can see, of at most `count` chains, so that one long reader's end
   * stops nobody. Answers whether there is more.
   */
  collect(horizon: number, count: number): boolean {
    for (let done = 0; ; done++, this.#supersededFrom++) {
      const chain = this.#supersededChains[this.#supersededFrom];
      if (chain === undefined || (this.#supersededAt[this.#supersededFrom] ?? Infinity) > horizon) break;
      if (done === count) return true;
      this.#prune(chain, horizon);
    }
    if (this.#supersededFrom > compactAfter && this.#supersededFrom * 2 > this.#supersededChains.length) {
      this.#supersededChains.splice(0, this.#supersededFrom);
      this.#supersededAt.splice(0, this.#supersededFrom);
      this.#supersededFrom = 0;
    }
    return false;
  }

  #prune(chain: Chain, horizon: number): void {
    const oldestSeen = visible(chain.newest, horizon);
    if (oldestSeen === undefined) return;
    for (let gone = oldestSeen.previous; gone !== undefined; gone = gone.previous) this.#versions--;
    oldestSeen.previous = undefined;
    if (oldestSeen === chain.newest && oldestSeen.value === undefined && this.#chains.get(chain.key) === chain) {
      this.#chains.delete(chain.key);
      this.#order.delete(chain.key);
      this.#versions--;
    }
  }
}

/** Below this the queue is not worth moving. */
const compactAfter = 1_024;

export interface Chain {
  readonly key: EncodedKey;
  newest: KeptVersion;
}

export interface KeptVersion {
  /** Its place in the order of commits of this process; 0 for what was recovered. */
  readonly sequence: number;
  /** The number behind the public version. */
  readonly version: number;
  /** `undefined` is a tombstone. */
  readonly value: Value | undefined;
  readonly hasBytes: boolean;
  previous: KeptVersion | undefined;
}

function compareKeys(a: EncodedKey, b: EncodedKey): number {
  if (a < b) return -1;
  return a > b ? 1 : 0;
}

export function visible(newest: KeptVersion | undefined, sequence: number): KeptVersion | undefined {
  let version = newest;
  while (version !== undefined && version.sequence > sequence) version = version.previous;
  return version;
}

function keep(
  sequence: number,
  version: number,
  stored: StoredValue | undefined,
  previous: KeptVersion | undefined,
): KeptVersion {
  return { sequence, version, value: stored?.value, hasBytes: stored?.hasBytes ?? false, previous };
}
