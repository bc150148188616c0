import { assert } from '../../kv/assert.ts';
import { ConflictError, TransactionClosedError } from '../../kv/errors.ts';
import type { Key } from '../../kv/key.ts';
import type { Isolation } from '../../kv/store.ts';
import type { Attempt, AttemptOptions, RetryableFault } from '../../kv/transact.ts';
import { decodeKey, encodeKey, type EncodedKey } from '../../kv/tuple.ts';
import type { LoggedWrite } from './commit-codec.ts';
import type { Database } from './database.ts';
import { EmbeddedTransaction, type ReadRange, type TransactionContext } from './embedded-transaction.ts';
import { LockOwner } from './lock-claim.ts';
import { keyTarget } from './lock-target.ts';
import type { Snapshot } from './snapshots.ts';
import { type Addition, sumOf, type WriteBuffer, written } from './write-buffer.ts';

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
  readonly tx: EmbeddedTransaction;
  #state: 'running' | 'committing' | 'ended' = 'running';
  readonly #label: string | undefined;
  /** Made when it is first needed, as the sets below are: most attempts hold no lock, and each would cost them garbage. */
  #owner: LockOwner | undefined;
  #fault: RetryableFault | undefined;
  #installed = false;
  #snapshot: Snapshot | undefined;
  #now: number | undefined;
  #version: number | undefined;
  #seen = 0;
  #scansPinned: Set<Snapshot> | undefined;
  #keysRead: Set<EncodedKey> | undefined;
  #rangesRead: ReadRange[] | undefined;
  #boundsTold: { readonly key: EncodedKey; readonly additions: readonly Addition[] }[] | undefined;

  constructor(database: Database, options: AttemptOptions) {
    this.database = database;
    this.isolation = options.isolation;
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
    return this.#snapshot.sequence;
  }

  pinView(): { readonly sequence: number; release(): void } {
    const sequence = this.view();
    if (this.isolation !== 'read-committed') return { sequence, release: () => undefined };
    const pinned = this.database.pin('writer');
    this.#scansPinned ??= new Set();
    this.#scansPinned.add(pinned);
    const release = (): void => {
      if (this.#scansPinned?.delete(pinned) === true) this.database.unpin(pinned);
    };
    return { sequence: pinned.sequence, release };
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

  registerRead(key: EncodedKey): void {
    if (this.isolation === 'serializable') (this.#keysRead ??= new Set()).add(key);
  }

  registerScan(range: ReadRange): void {
    if (this.isolation === 'serializable') (this.#rangesRead ??= []).push(range);
  }

  registerBounds(key: EncodedKey, additions: readonly Addition[]): void {
    (this.#boundsTold ??= []).push({ key, additions });
  }

  fail(key: EncodedKey): ConflictError {
    this.#fault = new ConflictError([decodeKey(key)]);
    return this.#fault;
  }

  commit(): Promise<void> | undefined {
    assert(this.#state === 'running', 'an attempt commits once');
    this.#state = 'committing';
    if (this.#fault !== undefined) throw this.#fault;
    const buffer = this.tx.takeBuffer();
    if (buffer.size === 0) {
      this.#end();
      return this.settled();
    }
    this.database.requireHealth();
    const { locks } = this.database;
    if (!locks.isEmpty && locks.blocksWrites(this.owner, buffer.keys())) return this.#commitBehindLocks(buffer);
    return this.database.journal.whenDurable(this.#install(buffer));
  }

  async #commitBehindLocks(buffer: WriteBuffer): Promise<void> {
    await this.prepare(buffer);
    // Abandoned in the very turn in which the last lock was granted.
    if (this.#state !== 'committing') throw new TransactionClosedError('its attempt has ended');
    await this.database.journal.whenDurable(this.#install(buffer));
  }

  wrote(key: Key): boolean {
    return this.tx.hasWritten(encodeKey(key));
  }

  abandon(cause?: Error): void {
    if (this.#state !== 'ended') this.#end(cause);
  }

  settled(): Promise<void> | undefined {
    return this.database.journal.whenDurable(this.#seen);
  }

  prepare(buffer: WriteBuffer): Promise<void> {
    return this.database.locks.acquire(this.owner, Array.from(buffer.keys(), keyTarget));
  }

  /** Synchronous from the first comparison to the last write: nothing can come between. */
  #install(buffer: WriteBuffer): number {
    const conflicts = this.#conflicts(buffer);
    if (conflicts.length > 0) {
      this.#seen = this.database.lastSequence;
      this.#fault = new ConflictError(conflicts.map(decodeKey));
      throw this.#fault;
    }
    const writes: LoggedWrite[] = [];
    for (const [key, write] of buffer.own()) {
      const base = write.kind === 'added' ? this.database.map.newest(key)?.value : undefined;
      writes.push({ key, stored: written(write, base) });
    }
    this.#now ??= this.database.tick();
    const sequence = this.database.commit(this.version, this.#now, writes);
    this.#installed = true;
    this.#end();
    return sequence;
  }

  #conflicts(buffer: WriteBuffer): readonly EncodedKey[] {
    const { map, lastSequence } = this.database;
    let changed: Set<EncodedKey> | undefined;
    const snapshot = this.#snapshot?.sequence ?? lastSequence;
    if (snapshot !== lastSequence) {
      for (const key of this.#keysRead ?? []) if (isNewer(key)) note(key);
      for (const range of this.#rangesRead ?? []) {
        for (const key of map.changedIn(range, snapshot, keysToldMax)) note(key);
      }
    }
    for (const [key, write] of buffer.own()) {
      if (write.kind === 'added') {
        if (sumOf(map.newest(key)?.value, write.additions).outcome === 'refused') note(key);
      } else if (this.isolation === 'snapshot' && isNewer(key)) note(key);
    }
    for (const { key, additions } of this.#boundsTold ?? []) {
      if (sumOf(map.newest(key)?.value, additions).outcome === 'refused') note(key);
    }
    return changed === undefined ? [] : [...changed].slice(0, keysToldMax);

    function note(key: EncodedKey): void {
      changed ??= new Set();
      changed.add(key);
    }

    function isNewer(key: EncodedKey): boolean {
      return (map.newest(key)?.sequence ?? 0) > snapshot;
    }
  }

  #end(cause?: Error): void {
    this.#state = 'ended';
    if (this.#owner !== undefined) this.database.locks.release(this.#owner, cause);
    if (this.#snapshot !== undefined) this.database.unpin(this.#snapshot);
    for (const pinned of this.#scansPinned ?? []) this.database.unpin(pinned);
    this.#scansPinned?.clear();
  }
}

/** A conflict names its keys, but not a million of them. */
const keysToldMax = 100;
