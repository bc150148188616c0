import { assert } from '../../kv/assert.ts';
import { LimitExceededError, PoisonedError, StoreClosedError } from '../../kv/errors.ts';
import type { Durability, Version } from '../../kv/store.ts';
import type { World } from '../../kv/world.ts';
import type { IncarnationEntry, LogEntry, LoggedWrite } from './commit-codec.ts';
import type { Journal } from './journal.ts';
import { LockTable } from '../../kv/locks/lock-table.ts';
import { type Snapshot, Snapshots } from './snapshots.ts';
import type { StateFacts } from './state-entries.ts';
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
  /** What outcomes rest on unless their call says otherwise. */
  readonly durability: Durability;
  readonly map = new VersionedMap();
  readonly locks: LockTable;
  readonly #snapshots = new Snapshots();
  readonly #snapshotAgeMaxMs: number;
  /** The timer that will end the snapshots of callers that are older than `sequence`. */
  #aging: { readonly sequence: number; readonly cancel: () => void } | undefined;
  #isClosed = false;
  #journal: Journal | undefined;
  #incarnation: IncarnationEntry | undefined;
  #lastAge = 0;
  #lastNow = 0;
  #lastVersion = 0;
  #versionCeiling = 0;
  #ceilingRequested = 0;
  #collectionDue = false;
  /** The oldest snapshot when what was set aside was last gone through from its beginning, and how much was left at the end. */
  #swept = { oldest: -1, count: 0 };
  #sweeping = false;

  constructor(
    world: World,
    { durability = 'durable', snapshotAgeMaxMs = snapshotAgeMaxMsDefault }: DatabaseOptions = {},
  ) {
    this.world = world;
    this.durability = durability;
    this.#snapshotAgeMaxMs = snapshotAgeMaxMs;
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
      case 'incarnation':
        this.#incarnation = entry;
        break;
    }
    this.map.collect(0, Infinity);
  }

  async start(journal: Journal): Promise<void> {
    this.#journal = journal;
    if (this.#incarnation === undefined) {
      this.#incarnation = newIncarnation(this.world, this.tick(), undefined);
      journal.append(this.#incarnation);
    }
    await this.#raiseCeiling();
  }

  get incarnation(): IncarnationEntry {
    assert(this.#incarnation !== undefined, 'a database that was started has an incarnation');
    return this.#incarnation;
  }

  get journal(): Journal {
    assert(this.#journal !== undefined, 'the database was started');
    return this.#journal;
  }

  get lastSequence(): number {
    return this.journal.lastIndex;
  }

  /** @throws StoreClosedError */
  requireOpen(): void {
    if (this.#isClosed) throw new StoreClosedError();
  }

  /** @throws PoisonedError */
  requireHealth(): void {
    const { poison } = this.journal;
    if (poison !== undefined) throw new PoisonedError({ cause: poison.cause });
  }

  pin(by: 'reader' | 'writer'): Snapshot {
    return this.#snapshots.pin(by === 'reader' ? this.journal.durableIndex : this.lastSequence, by);
  }

  /** For who reads what need not be durable. What the disk has failed to take is not shown any more. */
  pinVisible(): Snapshot {
    return this.journal.poison === undefined ? this.pin('writer') : this.pin('reader');
  }

  /** What is durable now, for a checkpoint or a backup; it may take its time. */
  pinState(): { readonly snapshot: Snapshot; readonly facts: StateFacts } {
    // A ceiling that was asked for may be durable already; a higher one is always right.
    const mark = { kind: 'mark', versionCeiling: this.#ceilingRequested, now: this.#lastNow } as const;
    const snapshot = this.#snapshots.pin(this.journal.durableIndex, 'store');
    return { snapshot, facts: { incarnation: this.incarnation, mark } };
  }

  unpin(snapshot: Snapshot): void {
    this.#snapshots.release(snapshot);
    if (this.#aging !== undefined && this.#snapshots.oldestOfCallers.sequence >= this.#aging.sequence) this.#endAging();
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

  /** Puts validated writes in place, visible to the next reader of the newest state. @throws PoisonedError */
  commit(version: number, now: number, writes: readonly LoggedWrite[]): number {
    const sequence = this.journal.append({ kind: 'commit', version, now, writes });
    for (const { key, stored } of writes) this.map.install(key, sequence, version, stored);
    // Twice as many as it superseded, so that what has piled up goes, too.
    this.collect(2 * writes.length);
    return sequence;
  }

  /** Lets go of old versions, of some at a time and `beside` more: those that neither a snapshot in use nor one yet to be taken can see. */
  collect(beside = 0): void {
    const { oldest } = this.#snapshots;
    const horizon = Math.min(this.journal.durableIndex, oldest);
    let isMore = this.map.collect(horizon, versionsCollectedMax + beside);
    if (!isMore && this.map.supersededCount > thinFrom) isMore = this.#thin(versionsThinnedAtOnce + beside);
    if (this.map.asideCount > 0) isMore = this.#sweep(oldest) || isMore;
    if (!isMore || this.#collectionDue) return;
    this.#collectionDue = true;
    this.world.defer(() => {
      this.#collectionDue = false;
      this.collect();
    });
  }

  /** A snapshot holds much back: what none can see between it and the next one goes, and its days are counted. Whether there is more. */
  #thin(count: number): boolean {
    const { durableIndex } = this.journal;
    if (!this.map.isHeldBack(durableIndex)) return false;
    this.map.thin(this.#snapshots.inUse(), durableIndex, count);
    this.#startAging();
    return this.map.supersededCount > thinFrom && this.map.isHeldBack(durableIndex);
  }

  /**
   * From now on the days of whoever holds much back are counted: at the end of the longest time allowed, those who were there at its
   * beginning are the ones who are too old.
   */
  #startAging(): void {
    const { durableIndex } = this.journal;
    if (this.#aging !== undefined || this.#isClosed) return;
    if (this.#snapshots.oldestOfCallers.sequence >= durableIndex) return;
    const cancel = this.world.after(this.#snapshotAgeMaxMs, () => {
      this.#aging = undefined;
      if (this.map.asideCount < versionsMany) return;
      this.#snapshots.expire(durableIndex, this.#snapshotAgeMaxMs);
      this.collect();
      this.#startAging();
    });
    this.#aging = { sequence: durableIndex, cancel };
  }

  #endAging(): void {
    this.#aging?.cancel();
    this.#aging = undefined;
  }

  /** Goes through what was set aside when an old snapshot has ended, or when much has been added. Whether there is more. */
  #sweep(oldest: number): boolean {
    const { asideCount } = this.map;
    if (!this.#sweeping) {
      if (oldest === this.#swept.oldest && asideCount < 2 * this.#swept.count + thinFrom) return false;
      this.#sweeping = true;
      this.#swept = { oldest, count: asideCount };
    }
    this.#sweeping = this.map.sweep(this.#snapshots.inUse(), keysSweptAtOnce);
    if (!this.#sweeping) this.#swept = { ...this.#swept, count: this.map.asideCount };
    return true;
  }

  /** Leaves a mark, so that the clock goes on from here. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#endAging();
    if (this.journal.poison === undefined) {
      this.journal.append({ kind: 'mark', versionCeiling: this.#versionCeiling, now: this.#lastNow });
    }
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

/** Few enough that nothing waits long. */
const versionsCollectedMax = 100;

/** So many superseded versions may a snapshot hold back before anybody looks which of them it can see. */
const thinFrom = 16_384;
const versionsThinnedAtOnce = 1_024;
const keysSweptAtOnce = 256;
/** Versions set aside for old snapshots, from which on they are worth ending one. */
const versionsMany = 1_000;

export interface DatabaseOptions {
  readonly durability?: Durability | undefined;
  readonly snapshotAgeMaxMs?: number | undefined;
}

/** Much longer than a request lives, and longer than a scan of everything that a machine's memory holds. */
const snapshotAgeMaxMsDefault = 300_000;

/** An incarnation that begins now. */
export function newIncarnation(world: World, sinceMs: number, restoredFrom: string | undefined): IncarnationEntry {
  return { kind: 'incarnation', id: Buffer.from(world.randomBytes(16)).toString('hex'), sinceMs, restoredFrom };
}

/** Short, and without a meaning that a caller could come to rely on. */
export function formatVersion(version: number): Version {
  return version.toString(36);
}
