import { assert } from '../../kv/assert.ts';
import {
  ConflictError,
  DeadlockError,
  LockTimeoutError,
  type SemelError,
  TransactionClosedError,
} from '../../kv/errors.ts';
import type { Key } from '../../kv/key.ts';
import { limits } from '../../kv/limits.ts';
import { LockOwner } from '../../kv/locks/lock-claim.ts';
import { keyTarget, type LockTarget } from '../../kv/locks/lock-target.ts';
import type { Durability, Isolation, Version } from '../../kv/store.ts';
import { type Attempt, type AttemptOptions, EarlyClockError, type RetryableFault } from '../../kv/transact.ts';
import { decodeKey, encodeKey, type EncodedKey } from '../../kv/tuple.ts';
import type { Additions, WriteBuffer } from '../../kv/write-buffer.ts';
import { changesSince } from './changes-since.ts';
import { DatabaseLocks, type LockWish } from './database-locks.ts';
import { flush } from './flush.ts';
import type { PostgresDatabase } from './postgres-database.ts';
import { PostgresTransaction, type Savepoint, type TransactionContext } from './postgres-transaction.ts';
import { encodedKeyOf, keyBytes, type StoredRow } from './row.ts';
import { RowReader, type RowSource } from './row-reader.ts';
import type { Session } from './session.ts';
import { deadlockDetected, isConflict, isConnectionLost, lockNotAvailable, sqlStateOf, toldOf } from './sql-state.ts';
import type { Clock } from './statements.ts';

/**
 * One attempt of a read-write transaction.
 *
 * *Running*: its body reads, locks and buffers writes. It takes a connection, and begins, with the first thing that needs the
 * database: a read, a lock, a statement of the user's. The snapshot is taken by the first read, or by the lock before it.
 * → *committing* when the body has returned, → *ended* when it is abandoned.
 *
 * *Committing*: the locks of this process on what it writes are waited for; then the buffered writes and the COMMIT travel
 * together. From the moment at which COMMIT is sent until it is answered, a lost connection leaves the outcome unknown.
 * → *ended*.
 *
 * *Ended*: its locks are free, its connection is back in the pool or closed, and nothing that still runs in its name can do
 * anything.
 */
export class PostgresAttempt<Client> implements Attempt<PostgresTransaction<Client>>, TransactionContext, RowSource {
  readonly database: PostgresDatabase;
  readonly isolation: Isolation;
  readonly age: number;
  readonly tx: PostgresTransaction<Client>;
  readonly reader = new RowReader(this);
  readonly #durability: Durability;
  readonly #owner: LockOwner;
  readonly #locks: DatabaseLocks;
  readonly #onEarlyClock: () => void;
  #state: 'running' | 'committing' | 'ended' = 'running';
  #cause: Error | undefined;
  #fault: RetryableFault | undefined;
  #installed = false;
  #session: Session | undefined;
  /** While a connection is being taken; everything else that needs it waits. */
  #opening: Promise<unknown> | undefined;
  #now: number | undefined;
  #isReading = false;
  #clock: Promise<void> | undefined;
  #version: Version | undefined;
  readonly #boundsTold: Additions[] = [];
  #savepoints = 0;

  constructor(database: PostgresDatabase, options: AttemptOptions, onEarlyClock: () => void) {
    this.database = database;
    this.isolation = options.isolation;
    this.#durability = options.durability ?? database.durability;
    this.age = options.age ?? database.takeAge();
    const label = options.label ?? `transaction ${this.age}`;
    this.#owner = new LockOwner(label, this.age, (fault) => (this.#fault = fault));
    this.#locks = new DatabaseLocks(this);
    this.#onEarlyClock = onEarlyClock;
    this.tx = new PostgresTransaction<Client>(this);
  }

  get sql(): PostgresDatabase['sql'] {
    return this.database.sql;
  }

  get isStable(): boolean {
    return this.isolation !== 'read-committed';
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

  get hasBegun(): boolean {
    return this.#session !== undefined;
  }

  get label(): string {
    return this.#owner.label;
  }

  /** The clock comes with the snapshot. Who asks before it is run again, on one that was taken first. */
  get now(): number {
    if (this.#now !== undefined) return this.#now;
    this.#onEarlyClock();
    this.#fault ??= new EarlyClockError();
    throw this.#fault;
  }

  get version(): Version {
    this.#version ??= this.database.takeVersion();
    return this.#version;
  }

  async takeSnapshot(): Promise<void> {
    await this.session();
    try {
      await this.#clock;
    } catch (error) {
      throw await this.failed(error);
    }
  }

  /** The session in which this attempt reads: begun, and with its snapshot, if it was not. */
  async session(): Promise<Session> {
    const session = await this.sessionWithoutSnapshot();
    if (this.#isReading) return session;
    this.#isReading = true;
    // Not waited for: what is sent after it is answered after it.
    if (this.#now === undefined) {
      this.#clock = this.#readClock(session);
      this.#clock.catch(() => undefined);
    }
    await this.#verify(() => true);
    return session;
  }

  async sessionWithoutSnapshot(): Promise<Session> {
    for (;;) {
      while (this.#opening !== undefined) await this.#opening.catch(() => undefined);
      this.requireAlive();
      if (this.#session !== undefined) return this.#session;
      await this.opening(async () => {
        const session = await this.connect();
        session.begin(this.database.beginning(this.isolation)).catch(() => undefined);
        return session;
      });
    }
  }

  async opening(begin: () => Promise<Session | undefined>): Promise<void> {
    while (this.#opening !== undefined) await this.#opening.catch(() => undefined);
    const opening = begin();
    this.#opening = opening;
    try {
      const session = await opening;
      if (this.#state === 'ended') session?.rollback();
      else this.#session = session;
    } finally {
      this.#opening = undefined;
    }
    this.requireAlive();
  }

  async connect(): Promise<Session> {
    const session = await this.database.connect();
    if (this.#state === 'ended') {
      session.giveBack();
      this.requireAlive();
    }
    return session;
  }

  /** What was read before the transaction began has to be so in it. */
  async #verify(created: (key: EncodedKey) => boolean): Promise<void> {
    const unsure = this.reader.unsure(created);
    if (unsure.length === 0) return;
    const changed = await this.reader.verify(unsure);
    if (changed.length > 0) throw (this.#fault = new ConflictError(changed.map(decodeKey)));
  }

  async #readClock(session: Session): Promise<void> {
    const { rows } = await session.query<Clock>(this.sql.clock);
    for (const { now } of rows) this.fixNow(now);
  }

  fixNow(serverMs: number): void {
    this.#now ??= this.database.tick(serverMs);
  }

  requireAlive(): void {
    if (this.#state === 'ended') throw this.#cause ?? new TransactionClosedError('its attempt has ended');
    if (this.#fault !== undefined) throw this.#fault;
  }

  registerBounds(told: Additions): void {
    this.#boundsTold.push(told);
  }

  fail(key: EncodedKey): ConflictError {
    const fault = new ConflictError([decodeKey(key)]);
    this.#fault = fault;
    return fault;
  }

  /** Outside the transaction, so that it takes no snapshot. */
  async peek(key: EncodedKey): Promise<StoredRow | undefined> {
    if (this.#session !== undefined || this.#opening !== undefined) return this.reader.row(key);
    const { rows } = await this.database.query(this.sql.get, [[keyBytes(key)]]);
    return (rows as readonly StoredRow[])[0];
  }

  async lock(target: LockTarget, options: LockWish): Promise<boolean> {
    const startedMs = this.database.world.monotonicMs();
    const { locks } = this.database;
    const isHeld = this.#owner.holds(target, 'exclusive');
    await locks.acquire(this.#owner, [target], options);
    const isLocked = await this.#locks.acquire(target, options, startedMs);
    if (!isLocked && !isHeld && target.key !== undefined) locks.giveBack(this.#owner, target.key);
    return isLocked;
  }

  lostLock(): void {
    this.#fault ??= new ConflictError([]);
  }

  /**
   * Waits for the locks of this process on what the buffer writes; but not with a connection, which whoever holds them may be waiting
   * for. An attempt that has one is run again, with those locks taken first.
   */
  async prepare(buffer: WriteBuffer): Promise<void> {
    const { locks } = this.database;
    const keys = buffer.keys();
    if ((this.#session !== undefined || this.#opening !== undefined) && locks.blocksWrites(this.#owner, keys)) {
      const blocked = keys.filter((key) => locks.blocksWrites(this.#owner, [key]));
      throw (this.#fault = new ConflictError(blocked.map(decodeKey)));
    }
    await locks.acquire(this.#owner, keys.map(keyTarget));
  }

  /** What the caller is told; and whether another attempt may do better, with the keys that collided as far as can be told. */
  async failed(error: unknown): Promise<SemelError> {
    if (this.#state === 'ended' && this.#cause !== undefined)
      return new TransactionClosedError('its attempt has ended');
    if (sqlStateOf(error) === deadlockDetected) {
      this.#fault ??= new DeadlockError([{ transaction: this.label, waitsFor: 'a lock in another process' }]);
      return this.#fault;
    }
    if (sqlStateOf(error) === lockNotAvailable) {
      return new LockTimeoutError('a row that another transaction writes', limits.lockTimeoutMs);
    }
    if (!isConflict(error, this.database.schema)) return toldOf(error);
    this.#fault ??= new ConflictError(await this.#collided());
    return this.#fault;
  }

  /** A statement of the user's failed: its error is theirs, but the attempt may be run again for it. */
  noteFailure(thrown: unknown): void {
    const error = this.database.sessions.unwrap(thrown);
    if (sqlStateOf(error) === deadlockDetected) {
      this.#fault ??= new DeadlockError([{ transaction: this.label, waitsFor: 'a row of another transaction' }]);
    } else if (isConflict(error, this.database.schema)) {
      this.#fault ??= new ConflictError([]);
    }
  }

  /**
   * The body has thrown. What it took to be absent was looked for ahead of its transaction, and may have been made by somebody else before
   * that began: then its error only follows from what the other one did, and it runs again.
   */
  async noteThrow(error: unknown): Promise<void> {
    this.noteFailure(error);
    const session = this.#session;
    const keys = this.reader.unsure(() => false).filter((key) => this.reader.foretoldAbsent(key));
    if (this.#fault !== undefined || session === undefined || keys.length === 0) return;
    this.#session = undefined;
    try {
      await session.undo();
      const { rows } = await session.look<StoredRow>(this.sql.get, [keys.map(keyBytes)]);
      session.giveBack();
      if (rows.length > 0) this.#fault ??= new ConflictError(rows.map((row) => decodeKey(encodedKeyOf(row))));
    } catch {
      session.giveUp();
    }
  }

  /** Sent, and not waited for: what comes after it is answered after it. */
  openSavepoint(session: Session): Savepoint {
    const name = `semel_${++this.#savepoints}`;
    session.query(`SAVEPOINT ${name}`).catch(() => undefined);
    return { name, locks: this.#locks.count };
  }

  /** Takes back the user's statements since, a failed one among them. */
  undo(session: Session, { name, locks }: Savepoint): void {
    session.query(`ROLLBACK TO SAVEPOINT ${name}`).catch(() => undefined);
    session.forgetFailure();
    this.#locks.retake(session, locks);
  }

  commit(): Promise<void> | undefined {
    assert(this.#state === 'running', 'an attempt commits once');
    this.#state = 'committing';
    if (this.#fault !== undefined) throw this.#fault;
    const buffer = this.tx.takeBuffer();
    if (buffer.size === 0 && this.#session === undefined && this.#opening === undefined) {
      this.#end();
      return undefined;
    }
    return this.#commit(buffer);
  }

  async #commit(buffer: WriteBuffer): Promise<void> {
    await this.prepare(buffer);
    const session = await this.sessionWithoutSnapshot();
    try {
      if (session.failure !== undefined && isConnectionLost(session.failure)) throw toldOf(session.failure);
      if (session.isEndedByOthers) throw new TransactionClosedError('a statement of its body has ended it');
      await this.#verify((key) => buffer.get(key)?.kind === 'set');
      await flush(session, buffer, {
        isAbsent: (key) => this.reader.foretoldAbsent(key),
        sql: this.sql,
        version: this.version,
        boundsTold: this.#boundsTold,
        isVisible: this.#durability === 'visible',
        onSent: () => (this.#installed = true),
      });
      session.giveBack();
      this.#end();
    } catch (error) {
      if (this.#installed && isConnectionLost(error)) {
        session.giveUp();
        this.#end();
        throw error;
      }
      this.#installed = false;
      if (error instanceof ConflictError) throw (this.#fault = error);
      throw await this.failed(error);
    }
  }

  /** What has changed of what this attempt read; asked after its transaction is over. Else, of what it wrote. */
  async #collided(): Promise<readonly Key[]> {
    const session = this.#session;
    if (session === undefined) return [];
    this.#session = undefined;
    try {
      await session.undo();
      const changed = await changesSince(session, this.sql, this.reader);
      session.giveBack();
      // At `snapshot` only what was written collides.
      const collided = this.isolation === 'serializable' ? changed : changed.filter((key) => this.tx.hasWritten(key));
      return collided.map(decodeKey);
    } catch {
      session.giveUp();
      return [];
    }
  }

  wrote(key: Key): boolean {
    return this.tx.hasWritten(encodeKey(key));
  }

  abandon(cause?: Error): void {
    if (this.#state !== 'ended') this.#end(cause);
  }

  settled(): undefined {
    // PostgreSQL shows nothing before it is committed; what a commit of another's still waits for is its own caller's concern.
    return undefined;
  }

  #end(cause?: Error): void {
    this.#state = 'ended';
    this.#cause = cause;
    this.database.locks.release(this.#owner, cause);
    const session = this.#session;
    this.#session = undefined;
    // A statement that still runs belongs to a body whose caller has given up.
    if (cause !== undefined && session?.isBusy === true) session.giveUp();
    else session?.rollback();
  }
}
