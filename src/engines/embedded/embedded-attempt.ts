import { assert } from '../../kv/assert.ts';
import { ConflictError, TransactionClosedError } from '../../kv/errors.ts';
import type { Key } from '../../kv/key.ts';
import type { Durability, Isolation } from '../../kv/store.ts';
import type { Attempt, AttemptOptions, RetryableFault } from '../../kv/transact.ts';
import { decodeKey, encodeKey, type EncodedKey } from '../../kv/tuple.ts';
import type { LoggedWrite } from './commit-codec.ts';
import type { Database } from './database.ts';
import {
  EmbeddedTransaction,
  type PinnedView,
  type ReadRange,
  type TransactionContext,
} from './embedded-transaction.ts';
import { LockOwner } from '../../kv/locks/lock-claim.ts';
import { keyTarget } from '../../kv/locks/lock-target.ts';
import { none, noted, type Noted } from './noted.ts';
import type { Snapshot } from './snapshots.ts';
import type { KeptVersion, NewestVersion } from './versioned-map.ts';
import { added, type Additions, sumOf, type Write, type WriteBuffer } from '../../kv/write-buffer.ts';

/**
 * One attempt of a read-write transaction.
 *
 * *Running*: its body reads, locks and buffers writes. The snapshot is taken at the first read. → *committing* when the
 * body has returned, → *ended* when it is abandoned.
 *
 * *Committing*: the body's handle is dead. A commit that writes what others hold locked waits in the locks' queue. Then,
 * in one synchronous turn: what was read is compared with the newest state, additions are made again on the newest
 * values, the writes are appended to the journal and put in place. → *ended*, installed or not.
 *
 * *Ended*: locks and snapshot are free, and nothing that still runs in its name can do anything.
 */
export class EmbeddedAttempt implements Attempt<EmbeddedTransaction>, TransactionContext {
  readonly database: Database;
  readonly isolation: Isolation;
  readonly age: number;
  readonly #durability: Durability;
  readonly tx: EmbeddedTransaction;
  #state: 'running' | 'committing' | 'ended' = 'running';
  readonly #label: string | undefined;
  /** Made when it is first needed, as the lists below are: most attempts need few of them, and each would cost garbage. */
  #owner: LockOwner | undefined;
  #fault: RetryableFault | undefined;
  #installed = false;
  #snapshot: Snapshot | undefined;
  #now: number | undefined;
  #version: number | undefined;
  #seen = 0;
  #scansPinned: Set<Snapshot> | undefined;
  /** What it read and found, as the map has it: none of it can leave the map while the snapshot is held. */
  #entriesRead: Noted<NewestVersion> = none;
  #absencesRead: Noted<EncodedKey> = none;
  #rangesRead: Noted<ReadRange> = none;
  #boundsTold: Noted<Additions> = none;

  constructor(database: Database, options: AttemptOptions) {
    this.database = database;
    this.isolation = options.isolation;
    this.#durability = options.durability ?? database.durability;
    this.age = options.age ?? database.takeAge();
    this.#label = options.label;
    this.tx = new EmbeddedTransaction(this);
  }

  get owner(): LockOwner {
    this.#owner ??= new LockOwner(this.#label ?? `transaction ${this.age}`, this.age, (fault) => (this.#fault = fault));
    return this.#owner;
  }

  get fault(): RetryableFault | undefined {
    return this.#fault;
  }

  get installed(): boolean {
    return this.#installed;
  }

  get running(): boolean {
    return this.#state === 'running';
  }

  /** Where a read looks. At `read-committed`, wherever the newest state is; else at the snapshot, taken now if need be. */
  view(): number {
    this.database.requireHealth();
    if (this.isolation === 'read-committed') {
      this.#now ??= this.database.tick();
      this.#seen = this.database.lastSequence;
      return this.#seen;
    }
    if (this.#snapshot === undefined) {
      this.#snapshot = this.database.pin('writer');
      this.#now = this.database.tick();
      this.#seen = this.#snapshot.sequence;
    }
    this.#snapshot.requireFresh();
    return this.#snapshot.sequence;
  }

  pinView(): PinnedView {
    const sequence = this.view();
    if (this.isolation !== 'read-committed') {
      return { sequence, requireFresh: () => this.#snapshot?.requireFresh(), release: () => undefined };
    }
    const pinned = this.database.pin('writer');
    this.#scansPinned ??= new Set();
    this.#scansPinned.add(pinned);
    const release = (): void => {
      if (this.#scansPinned?.delete(pinned) === true) this.database.unpin(pinned);
    };
    return { sequence: pinned.sequence, requireFresh: () => pinned.requireFresh(), release };
  }

  get now(): number {
    this.view();
    assert(this.#now !== undefined, 'the time is fixed with the snapshot');
    return this.#now;
  }

  get version(): number {
    this.#version ??= this.database.takeVersion();
    return this.#version;
  }

  peek(key: EncodedKey): KeptVersion | undefined {
    return this.database.map.at(key, this.view());
  }

  read(key: EncodedKey): KeptVersion | undefined {
    const sequence = this.view();
    const { map } = this.database;
    const newest = map.newest(key);
    const seen = map.visible(newest, sequence);
    if (this.isolation === 'serializable') {
      // A tombstone may be forgotten, and its key then begin anew.
      if (newest === undefined || seen?.value === undefined) this.#absencesRead = noted(this.#absencesRead, key);
      else this.#entriesRead = noted(this.#entriesRead, newest);
    }
    return seen;
  }

  registerScan(range: ReadRange): void {
    if (this.isolation === 'serializable') this.#rangesRead = noted(this.#rangesRead, range);
  }

  registerBounds(told: Additions): void {
    this.#boundsTold = noted(this.#boundsTold, told);
  }

  fail(key: EncodedKey): ConflictError {
    this.#fault = new ConflictError([decodeKey(key)]);
    return this.#fault;
  }

  commit(): Promise<void> | undefined {
    assert(this.#state === 'running', 'an attempt commits once');
    this.#state = 'committing';
    if (this.#fault !== undefined) throw this.#fault;
    // Without the versions that it saw, there is no telling whether they changed.
    this.#snapshot?.requireFresh();
    const buffer = this.tx.takeBuffer();
    if (buffer.size === 0) {
      this.#end();
      return this.settled();
    }
    this.database.requireHealth();
    const { locks } = this.database;
    if (!locks.isEmpty && locks.blocksWrites(this.owner, buffer.keys())) return this.#commitBehindLocks(buffer);
    return this.#whenDurable(this.#install(buffer));
  }

  async #commitBehindLocks(buffer: WriteBuffer): Promise<void> {
    await this.prepare(buffer);
    // Abandoned in the very turn in which the last lock was granted.
    if (this.#state !== 'committing') throw new TransactionClosedError('its attempt has ended');
    this.#snapshot?.requireFresh();
    await this.#whenDurable(this.#install(buffer));
  }

  wrote(key: Key): boolean {
    return this.tx.hasWritten(encodeKey(key));
  }

  abandon(cause?: Error): void {
    if (this.#state !== 'ended') this.#end(cause);
  }

  settled(): Promise<void> | undefined {
    return this.#whenDurable(this.#seen);
  }

  #whenDurable(sequence: number): Promise<void> | undefined {
    const { journal } = this.database;
    return this.#durability === 'visible' && !journal.isFarBehind ? undefined : journal.whenDurable(sequence);
  }

  prepare(buffer: WriteBuffer): Promise<void> {
    return this.database.locks.acquire(this.owner, buffer.keys().map(keyTarget));
  }

  /** Synchronous from the first comparison to the last write: nothing can come between. */
  #install(buffer: WriteBuffer): number {
    const conflicts = this.#conflicts(buffer);
    if (conflicts.length > 0) {
      this.#seen = this.database.lastSequence;
      this.#fault = new ConflictError([...new Set(conflicts)].slice(0, keysToldMax).map(decodeKey));
      throw this.#fault;
    }
    const writes = buffer.own().map((write) => this.#logged(write));
    this.#now ??= this.database.tick();
    const sequence = this.database.commit(this.version, this.#now, writes);
    this.#installed = true;
    this.#end();
    return sequence;
  }

  #logged(write: Write): LoggedWrite {
    if (write.kind !== 'added') return write;
    const { key, additions } = write;
    return { key, stored: added(this.database.map.newest(key)?.value, additions) };
  }

  /** What has changed since it was read, as often as it was read. */
  #conflicts(buffer: WriteBuffer): readonly EncodedKey[] {
    const { map, lastSequence } = this.database;
    const changed: EncodedKey[] = [];
    const snapshot = this.#snapshot?.sequence ?? lastSequence;
    if (snapshot !== lastSequence) {
      for (const { key, sequence } of this.#entriesRead) if (sequence > snapshot) changed.push(key);
      for (const key of this.#absencesRead) if ((map.newest(key)?.sequence ?? 0) > snapshot) changed.push(key);
      for (const range of this.#rangesRead) changed.push(...map.changedIn(range, snapshot, keysToldMax));
    }
    for (const write of buffer.own()) {
      if (write.kind === 'added') this.#checkBounds(write, changed);
      else if (this.isolation === 'snapshot' && (map.newest(write.key)?.sequence ?? 0) > snapshot)
        changed.push(write.key);
    }
    for (const told of this.#boundsTold) this.#checkBounds(told, changed);
    return changed;
  }

  #checkBounds({ key, additions }: Additions, changed: EncodedKey[]): void {
    if (sumOf(this.database.map.newest(key)?.value, additions).outcome === 'refused') changed.push(key);
  }

  #end(cause?: Error): void {
    this.#state = 'ended';
    if (this.#owner !== undefined) this.database.locks.release(this.#owner, cause);
    if (this.#snapshot !== undefined) this.database.unpin(this.#snapshot);
    if (this.#scansPinned === undefined) return;
    for (const pinned of this.#scansPinned) this.database.unpin(pinned);
    this.#scansPinned.clear();
  }
}

/** A conflict names its keys, but not a million of them. */
const keysToldMax = 100;
