import btree from 'sorted-btree';
import type { Value } from '../../kv/value.ts';
import type { KeptValue } from './commit-codec.ts';
import type { EncodedKey, EncodedRange } from '../../kv/tuple.ts';
import { assert } from '../../kv/assert.ts';

/**
 * The map with its history: for each key its newest version, and behind it the older ones that somebody may still ask for.
 *
 * Two indexes over the newest versions: a hash map for points, and a B+tree for order, which costs four times as much to
 * ask (measured over 500,000 keys); so only scans and new keys pay for it.
 *
 * A newest version is written over in place, so that a look-up has one object to fetch; what it was is appended to the
 * *superseded* ones. A version superseded at sequence `s` is needed while a snapshot older than `s` may be taken or is in
 * use; the *horizon* is the oldest such snapshot. The superseded ones stand in the order of `s`, so a step forward of the
 * horizon lets go of the first of them. They are referred to by their position in that order, and one that is gone is
 * simply not found: letting go touches no key, whose memory would have to be fetched again. Only a deletion is looked
 * after: a tombstone that has become the only version goes with its key.
 *
 * One old snapshot would hold back everything that was superseded since. So where they have become many, `thin` goes through
 * them: what no snapshot in use can see goes, and the few that one can see are *set aside*, by key.
 */
export class VersionedMap {
  readonly #newest = new Map<EncodedKey, Newest>();
  readonly #order = new btree.default<EncodedKey, Newest>(undefined, compareKeys);
  /** From `#supersededFrom` on; those before it are gone. */
  #superseded: (Superseded | undefined)[] = [];
  #supersededFrom = 0;
  /** The position of the first place in the list. */
  #supersededBase = 0;
  /** Of each key the oldest first. */
  readonly #aside = new Map<EncodedKey, Superseded[]>();
  #asideCount = 0;
  #sweep: Iterator<[EncodedKey, Superseded[]]> | undefined;

  get keys(): number {
    return this.#newest.size;
  }

  /** All versions kept, old ones and tombstones included. */
  get versions(): number {
    return this.#newest.size + this.supersededCount + this.#asideCount;
  }

  /** Superseded versions that are kept, but for those that were set aside. */
  get supersededCount(): number {
    return this.#superseded.length - this.#supersededFrom;
  }

  /** Versions that were set aside. */
  get asideCount(): number {
    return this.#asideCount;
  }

  newest(key: EncodedKey): NewestVersion | undefined {
    return this.#newest.get(key);
  }

  /** What a snapshot at `sequence` sees: a version, maybe a tombstone, or nothing. */
  at(key: EncodedKey, sequence: number): KeptVersion | undefined {
    return this.visible(this.#newest.get(key), sequence);
  }

  /** The same, for whoever has the key's newest version. */
  visible(newest: NewestVersion | undefined, sequence: number): KeptVersion | undefined {
    let version: KeptVersion | undefined = newest;
    while (version !== undefined && version.sequence > sequence) {
      const place: number = version.previous - this.#supersededBase;
      version = place < 0 ? undefined : this.#superseded[place];
    }
    if (version === undefined && newest !== undefined && this.#asideCount > 0) {
      return asideAt(this.#aside.get(newest.key), sequence);
    }
    return version;
  }

  /** Puts a new version before those that the key has. Sequences only grow. */
  install(key: EncodedKey, sequence: number, version: number, stored: KeptValue | undefined): void {
    const newest = this.#newest.get(key);
    if (newest === undefined) {
      // Deleting what is not there leaves nothing to remember: whoever read its absence reads the same.
      if (stored === undefined) return;
      const first = { key, sequence, version, value: stored.value, hasBytes: stored.hasBytes, previous: noPosition };
      this.#newest.set(key, first);
      this.#order.set(key, first);
      return;
    }
    assert(newest.sequence <= sequence, 'sequences grow along a key');
    const position = this.#supersededBase + this.#superseded.length;
    this.#superseded.push({
      sequence: newest.sequence,
      version: newest.version,
      value: newest.value,
      hasBytes: newest.hasBytes,
      previous: newest.previous,
      supersededAt: sequence,
      of: newest,
      byDeletion: stored === undefined,
    });
    newest.sequence = sequence;
    newest.version = version;
    newest.value = stored?.value;
    newest.hasBytes = stored?.hasBytes ?? false;
    newest.previous = position;
  }

  /**
   * Up to `count` newest versions of a range whose keys lie beyond `after`, in the direction asked for. Between two calls
   * the map may change: a scan holds keys, not positions.
   */
  chunk(range: EncodedRange, after: EncodedKey | undefined, count: number, reverse: boolean): readonly NewestVersion[] {
    const chunk: NewestVersion[] = [];
    const entries = reverse
      ? this.#order.entriesReversed(after ?? range.end, undefined, true)
      : this.#order.entries(after ?? range.start);
    for (const [key, newest] of entries) {
      if (key === after || (reverse && key === range.end)) continue;
      if (reverse ? key < range.start : range.end !== undefined && key >= range.end) break;
      chunk.push(newest);
      if (chunk.length === count) break;
    }
    return chunk;
  }

  /** Whether a range holds anything newer than `sequence`; if so, the keys, up to `count`. */
  changedIn(range: EncodedRange, sequence: number, count: number): readonly EncodedKey[] {
    const changed: EncodedKey[] = [];
    for (const [key, newest] of this.#order.entries(range.start)) {
      if (range.end !== undefined && key >= range.end) break;
      if (newest.sequence > sequence) changed.push(key);
      if (changed.length === count) break;
    }
    return changed;
  }

  /**
   * Lets go of what no snapshot from `horizon` on can see, of at most `count` versions, so that one long reader's end
   * stops nobody. Answers whether there is more.
   */
  collect(horizon: number, count: number): boolean {
    const superseded = this.#superseded;
    const end = Math.min(superseded.length, this.#supersededFrom + count);
    for (let place = this.#supersededFrom; place < end; place++) {
      const version = superseded[place];
      if (version === undefined || version.supersededAt > horizon) break;
      this.#letGo(version, place);
    }
    this.#compact();
    const first = this.#oldestSuperseded;
    return first !== undefined && first.supersededAt <= horizon;
  }

  /** Whether the oldest superseded version can no longer be seen by who begins at `sequence` or later. */
  isHeldBack(sequence: number): boolean {
    return (this.#oldestSuperseded?.supersededAt ?? Infinity) <= sequence;
  }

  /**
   * Lets go of what none of the snapshots in use can see, nor one that begins at `sequence` or later, of at most `count`
   * superseded versions; sets the others aside. `inUse` is in order.
   */
  thin(inUse: readonly number[], sequence: number, count: number): void {
    const end = Math.min(this.#superseded.length, this.#supersededFrom + count);
    for (let place = this.#supersededFrom; place < end; place++) {
      const version = this.#superseded[place];
      if (version === undefined || version.supersededAt > sequence) break;
      const { key } = version.of;
      if (isSeenByOne(version, inUse)) this.#setAside(key, version);
      this.#letGo(version, place);
    }
    this.#compact();
  }

  /**
   * Goes on through what was set aside, from where the call before stopped, `count` keys far, and lets go of what none of the
   * snapshots in use can see. Answers whether there is more.
   */
  sweep(inUse: readonly number[], count: number): boolean {
    this.#sweep ??= this.#aside.entries();
    for (let swept = 0; swept < count; swept++) {
      const next = this.#sweep.next();
      if (next.done === true) {
        this.#sweep = undefined;
        return false;
      }
      const [key, versions] = next.value;
      const seen = versions.filter((version) => isSeenByOne(version, inUse));
      this.#asideCount -= versions.length - seen.length;
      if (seen.length > 0) this.#aside.set(key, seen);
      else {
        this.#aside.delete(key);
        for (const { of } of versions.slice(-1)) this.#forgetTombstone(of);
      }
    }
    return true;
  }

  get #oldestSuperseded(): Superseded | undefined {
    return this.#superseded[this.#supersededFrom];
  }

  #setAside(key: EncodedKey, version: Superseded): void {
    this.#asideCount++;
    const versions = this.#aside.get(key);
    if (versions === undefined) this.#aside.set(key, [version]);
    else versions.push(version);
  }

  /** The oldest superseded version leaves its place. */
  #letGo(version: Superseded, place: number): void {
    this.#superseded[place] = undefined;
    this.#supersededFrom++;
    if (version.byDeletion) this.#forgetTombstone(version.of);
  }

  /** Nobody can see any more what a key was before its deletion; unless it is something again, it is nothing now. */
  #forgetTombstone({ key, value, previous }: Newest): void {
    const isAlone = this.#superseded[previous - this.#supersededBase] === undefined;
    if (value !== undefined || !isAlone || this.#aside.has(key)) return;
    this.#newest.delete(key);
    this.#order.delete(key);
  }

  #compact(): void {
    if (this.#supersededFrom <= compactAfter || this.#supersededFrom * 2 <= this.#superseded.length) return;
    this.#superseded = this.#superseded.slice(this.#supersededFrom);
    this.#supersededBase += this.#supersededFrom;
    this.#supersededFrom = 0;
  }
}

/** Below this the list is not worth moving. */
const compactAfter = 1_024;

/** Where nothing is, whatever has been let go of. */
const noPosition = -1;

export interface KeptVersion {
  /** Its place in the order of commits of this process; 0 for what was recovered. */
  readonly sequence: number;
  /** The number behind the public version. */
  readonly version: number;
  /** `undefined` is a tombstone. */
  readonly value: Value | undefined;
  readonly hasBytes: boolean;
  /** The position of the one before it, which may be gone. */
  readonly previous: number;
}

/** It changes with the next commit. */
export interface NewestVersion extends KeptVersion {
  readonly key: EncodedKey;
}

type Newest = { -readonly [name in keyof NewestVersion]: NewestVersion[name] };

interface Superseded extends KeptVersion {
  readonly supersededAt: number;
  /** The key's newest version. */
  readonly of: Newest;
  readonly byDeletion: boolean;
}

/** The last one that is no younger than the snapshot, if the snapshot is older than what superseded it. */
function asideAt(versions: readonly Superseded[] | undefined, sequence: number): KeptVersion | undefined {
  if (versions === undefined) return undefined;
  let from = 0;
  for (let to = versions.length; from < to;) {
    const middle = (from + to) >>> 1;
    if ((versions[middle]?.sequence ?? Infinity) <= sequence) from = middle + 1;
    else to = middle;
  }
  const found = versions[from - 1];
  return found !== undefined && sequence < found.supersededAt ? found : undefined;
}

function isSeenByOne(version: Superseded, inUse: readonly number[]): boolean {
  let from = 0;
  for (let to = inUse.length; from < to;) {
    const middle = (from + to) >>> 1;
    if ((inUse[middle] ?? Infinity) < version.sequence) from = middle + 1;
    else to = middle;
  }
  return (inUse[from] ?? Infinity) < version.supersededAt;
}

function compareKeys(a: EncodedKey, b: EncodedKey): number {
  if (a < b) return -1;
  return a > b ? 1 : 0;
}
