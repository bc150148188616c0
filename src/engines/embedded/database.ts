import { assert } from '../../kv/assert.ts';
import { LimitExceededError, PoisonedError } from '../../kv/errors.ts';
import type { Version } from '../../kv/store.ts';
import type { World } from '../../kv/world.ts';
import type { LogEntry, LoggedWrite, MarkEntry } from './commit-codec.ts';
import type { Journal } from './journal.ts';
import { LockTable } from './lock-table.ts';
import { type Snapshot, Snapshots } from './snapshots.ts';
import { VersionedMap } from './versioned-map.ts';

/**
 * What all attempts of one store share: the map, the locks, the clock, the numbers, and the order of commits.
 *
 * A commit's *sequence* is its index in the journal, so that the order of the map is the order of the log. A commit is
 * visible to writers at once and to readers when durable; whatever a writer learns leaves the store only when the newest
 * sequence that it has seen is durable. Since the log keeps the order, what a crash loses is always a suffix that nobody
 * outside has heard of.
 *
 * A commit's *version* is a number of its own: an attempt knows it before it commits and can put it into what it writes.
 * Versions are given out below a ceiling that is durable in the log; opening begins above the last ceiling, so no version
 * comes twice, not even one that a crash made unhappen.
 */
export class Database {
  readonly world: World;
  readonly map = new VersionedMap();
  readonly locks: LockTable;
  readonly #snapshots = new Snapshots();
  #journal: Journal | undefined;
  #lastAge = 0;
  #lastNow = 0;
  #lastVersion = 0;
  #versionCeiling = 0;
  #ceilingRequested = 0;
  #collectionDue = false;

  constructor(world: World) {
    this.world = world;
    this.locks = new LockTable(world);
  }

  /** Takes over a recovered entry, before `start`. */
  recover(entry: LogEntry): void {
    switch (entry.kind) {
      case 'commit':
        for (const { key, stored } of entry.writes) this.map.install(key, 0, entry.version, stored);
        this.#lastNow = Math.max(this.#lastNow, entry.now);
        break;
      case 'portion':
        for (const { key, stored, version } of entry.entries) this.map.install(key, 0, version, stored);
        break;
      case 'mark':
        this.#lastNow = Math.max(this.#lastNow, entry.now);
        this.#lastVersion = this.#versionCeiling = this.#ceilingRequested = entry.versionCeiling;
        break;
    }
    this.map.collect(0, Infinity);
  }

  async start(journal: Journal): Promise<void> {
    this.#journal = journal;
    await this.#raiseCeiling();
  }

  get journal(): Journal {
    assert(this.#journal !== undefined, 'the database was started');
    return this.#journal;
  }

  get lastSequence(): number {
    return this.journal.lastIndex;
  }

  /** @throws PoisonedError */
  requireHealth(): void {
    const { poison } = this.journal;
    if (poison !== undefined) throw new PoisonedError({ cause: poison.cause });
  }

  pin(by: 'reader' | 'writer'): Snapshot {
    return this.#snapshots.pin(by === 'reader' ? this.journal.durableIndex : this.lastSequence, by);
  }

  unpin(snapshot: Snapshot): void {
    this.#snapshots.release(snapshot);
    this.collect();
  }

  /** The store's clock: the wall's, but never behind what it once was. */
  tick(): number {
    this.#lastNow = Math.max(this.#lastNow, Math.floor(this.world.now()));
    return this.#lastNow;
  }

  /** A transaction's: the number of its first attempt. */
  takeAge(): number {
    return ++this.#lastAge;
  }

  /** @throws LimitExceededError where half a million attempts passed without the disk confirming a single one */
  takeVersion(): number {
    if (this.#lastVersion >= this.#versionCeiling) {
      throw new LimitExceededError('versionsUnconfirmedMax', versionsReserved, versionsReserved + 1);
    }
    this.#lastVersion++;
    if (this.#lastVersion > this.#ceilingRequested - versionsReserved / 2) {
      // A failure has poisoned the store, and whoever waits for the disk hears of it.
      this.#raiseCeiling().catch(() => undefined);
    }
    return this.#lastVersion;
  }

  /** What a log must say first when it is written anew. */
  mark(): MarkEntry {
    return { kind: 'mark', versionCeiling: this.#versionCeiling, now: this.#lastNow };
  }

  /** Puts validated writes in place, visible to the next reader of the newest state. @throws PoisonedError */
  commit(version: number, now: number, writes: readonly LoggedWrite[]): number {
    const sequence = this.journal.append({ kind: 'commit', version, now, writes });
    for (const { key, stored } of writes) this.map.install(key, sequence, version, stored);
    this.collect();
    return sequence;
  }

  /** Lets go of old versions: those that neither a snapshot in use nor one yet to be taken can see. */
  collect(): void {
    const horizon = Math.min(this.journal.durableIndex, this.#snapshots.oldest);
    const isMore = this.map.collect(horizon, chainsCollectedMax);
    if (!isMore || this.#collectionDue) return;
    this.#collectionDue = true;
    this.world.defer(() => {
      this.#collectionDue = false;
      this.collect();
    });
  }

  /** Leaves a mark, so that the clock goes on from here. */
  async close(): Promise<void> {
    if (this.journal.poison === undefined) this.journal.append(this.mark());
    await this.journal.close();
  }

  async #raiseCeiling(): Promise<void> {
    const versionCeiling = this.#ceilingRequested + versionsReserved;
    this.#ceilingRequested = versionCeiling;
    const index = this.journal.append({ kind: 'mark', versionCeiling, now: this.tick() });
    await this.journal.whenDurable(index);
    this.#versionCeiling = Math.max(this.#versionCeiling, versionCeiling);
  }
}

/** So many that an attempt never waits for more, so few that some million openings leave numbers enough. */
const versionsReserved = 2 ** 20;

/** Many more than a commit usually supersedes, so that what has piled up goes too, and few enough that no commit waits long. */
const chainsCollectedMax = 100;

/** Short, and without a meaning that a caller could come to rely on. */
export function formatVersion(version: number): Version {
  return version.toString(36);
}
