import { Bound } from '../../kv/bound.ts';
import { LockTimeoutError } from '../../kv/errors.ts';
import { limits } from '../../kv/limits.ts';
import { describeTarget, type LockMode, type LockTarget } from '../../kv/locks/lock-target.ts';
import type { Isolation, LockOptions } from '../../kv/store.ts';
import type { EncodedKey } from '../../kv/tuple.ts';
import type { PostgresDatabase } from './postgres-database.ts';
import { keyBytes, lockNumber, type StoredRow } from './row.ts';
import type { RowReader } from './row-reader.ts';
import type { Session } from './session.ts';
import { lockNotAvailable, sqlStateOf } from './sql-state.ts';
import type { GateMode } from './statements.ts';

/** What locking needs of its attempt. */
export interface LockingAttempt {
  readonly database: PostgresDatabase;
  readonly reader: RowReader;
  readonly isolation: Isolation;
  readonly hasBegun: boolean;
  connect(): Promise<Session>;
  /** Lets nobody else begin while `begin` does; what that answers is the attempt's session. */
  opening(begin: () => Promise<Session | undefined>): Promise<void>;
  sessionWithoutSnapshot(): Promise<Session>;
  session(): Promise<Session>;
  fixNow(serverMs: number): void;
  requireAlive(): void;
  failed(error: unknown): Promise<Error>;
  /** Another transaction has got hold of what this one must not lose. */
  lostLock(): void;
}

export interface LockWish extends LockOptions {
  readonly ifAbsent?: boolean;
}

/**
 * The locks of one attempt against other processes; within its process the lock table has granted them before.
 *
 * A key is an advisory lock of the transaction, and an intention on the gate; a range is the gate itself, so that it shuts out all
 * locks and writes of other transactions, not only those in it. PostgreSQL frees them with the transaction, however that ends.
 *
 * The first lock of an attempt that has not begun is asked for again and again, each time in a transaction that ends at once where it is
 * refused: so a waiter holds no connection, and has no snapshot that would be too old when the wait is over. (An advisory lock waited
 * for in a serializable transaction comes after the snapshot, and the next write of what changed meanwhile fails.) An attempt that
 * holds something already has to wait in its transaction, where PostgreSQL finds deadlocks.
 */
export class DatabaseLocks {
  readonly #attempt: LockingAttempt;
  readonly #keys = new Map<EncodedKey, LockMode>();
  #last: Promise<unknown> = Promise.resolve();
  /** What takes each of them again. */
  readonly #taken: { readonly text: string; readonly values?: readonly unknown[] }[] = [];
  readonly #gates = new Set<GateMode>();

  constructor(attempt: LockingAttempt) {
    this.#attempt = attempt;
  }

  /** One after the other, for they share one connection, and the first may begin it. */
  async acquire(target: LockTarget, options: LockWish, startedMs: number): Promise<boolean> {
    const mine = this.#last.then(() => this.#acquire(target, options, startedMs));
    this.#last = mine.catch(() => undefined);
    return mine;
  }

  async #acquire(target: LockTarget, options: LockWish, startedMs: number): Promise<boolean> {
    const { timeoutMs = limits.lockTimeoutMs, mode = 'exclusive', signal, ifAbsent = false } = options;
    if (this.#holds(target, mode)) return true;
    const leftMs = Math.max(0, timeoutMs - (this.#attempt.database.world.monotonicMs() - startedMs));
    const wish: Wish = { target, mode, timeoutMs, leftMs, ifAbsent };
    const bound = new Bound(this.#attempt.database.world, signal === undefined ? {} : { signal });
    try {
      return await bound.race(this.#take(wish, bound));
    } finally {
      bound.close();
    }
  }

  /** To tell later what was locked since. */
  get count(): number {
    return this.#taken.length;
  }

  /** What was locked inside a savepoint is freed when that is rolled back, but locks are held until the attempt ends. */
  retake(session: Session, from: number): void {
    for (const { text, values } of this.#taken.slice(from)) {
      session.query<{ granted?: boolean }>(text, values).then(
        ({ rows }) => rows[0]?.granted === false && this.#attempt.lostLock(),
        () => undefined,
      );
    }
  }

  #holds({ key }: LockTarget, mode: LockMode): boolean {
    if (this.#passed(mode === 'exclusive' ? 'EXCLUSIVE' : 'SHARE')) return true;
    const held = key === undefined ? undefined : this.#keys.get(key);
    return held === 'exclusive' || held === mode;
  }

  async #take(wish: Wish, bound: Bound): Promise<boolean> {
    const { key } = wish.target;
    if (key === undefined) return this.#lockGate(wish, wish.mode === 'exclusive' ? 'EXCLUSIVE' : 'SHARE');
    if (!this.#attempt.hasBegun) return this.#lockFirst(key, wish, bound);
    if (wish.ifAbsent && (await this.#attempt.reader.row(key)) !== undefined) return false;
    return this.#lockLater(key, wish);
  }

  async #lockFirst(key: EncodedKey, wish: Wish, bound: Bound): Promise<boolean> {
    const { world } = this.#attempt.database;
    const untilMs = world.monotonicMs() + wish.leftMs;
    for (let pauseMs = pauseMsFirst; ; pauseMs = Math.min(pauseMs * 2, pauseMsMax)) {
      const answer = await this.#try(key, wish, bound);
      if (answer !== 'refused') return answer === 'granted';
      const leftMs = untilMs - world.monotonicMs();
      if (leftMs <= 0) throw new LockTimeoutError(describeTarget(wish.target), wish.timeoutMs);
      const jittered = Math.min(leftMs, pauseMs * (0.5 + world.random() / 2));
      await new Promise<void>((resolve) => void world.after(jittered, resolve));
      this.#attempt.requireAlive();
    }
  }

  /** Begins a transaction with the lock, which the attempt goes on with if it is granted, and else is over at once. */
  async #try(key: EncodedKey, wish: Wish, bound: Bound): Promise<'granted' | 'refused' | 'present'> {
    const { database, reader } = this.#attempt;
    const { sql } = database;
    let answer: 'granted' | 'refused' | 'present' = 'refused';
    await this.#attempt.opening(async () => {
      const session = await this.#attempt.connect();
      try {
        // Ahead of the transaction. In a serializable one it would be a read, which conflicts with whatever is written near that key. That
        // the key is still absent is made sure of by the write that creates it.
        const looking = wish.ifAbsent ? session.look(sql.get, [[keyBytes(key)]]) : undefined;
        looking?.catch(() => undefined);
        const beginning = session.begin(
          database.beginning(this.#attempt.isolation),
          `${sql.gate(intention(wish.mode))} NOWAIT`,
        );
        beginning.catch(() => undefined);
        const trying = session.query(wish.mode === 'exclusive' ? sql.tryLock : sql.tryLockShared, [
          lockNumber(database.schema, key),
        ]);
        trying.catch(() => undefined);
        const [row] = ((await looking)?.rows ?? []) as StoredRow[];
        await beginning;
        const [{ granted, now }] = (await trying).rows as [{ granted: boolean; now: number }];
        if (row !== undefined) answer = 'present';
        else if (granted) answer = 'granted';
        if (answer !== 'refused') this.#attempt.fixNow(now);
        if (answer !== 'refused' && wish.ifAbsent) reader.foretell(key, row);
        if (answer === 'granted') this.#note(key, wish.mode);
        this.#attempt.requireAlive();
        if (bound.fault !== undefined) throw bound.fault;
      } catch (error) {
        session.rollback();
        // A range is locked.
        if (sqlStateOf(error) === lockNotAvailable) return undefined;
        throw await this.#attempt.failed(error);
      }
      if (answer === 'granted') return session;
      session.rollback();
      // So that the lock is not in the way of whoever comes next.
      await session.inOrder();
      return undefined;
    });
    return answer;
  }

  async #lockLater(key: EncodedKey, wish: Wish): Promise<true> {
    const session = await this.#attempt.session();
    const { sql, schema } = this.#attempt.database;
    const number = lockNumber(schema, key);
    await this.#inSavepoint(session, wish, async (send) => {
      if (!this.#passed(intention(wish.mode))) await send(sql.gate(intention(wish.mode)));
      await send(wish.mode === 'exclusive' ? sql.lock : sql.lockShared, [number]);
    });
    this.#note(key, wish.mode);
    return true;
  }

  #note(key: EncodedKey, mode: LockMode): void {
    const { sql, schema } = this.#attempt.database;
    this.#noteGate(intention(mode));
    this.#keys.set(key, mode);
    this.#taken.push({
      text: mode === 'exclusive' ? sql.tryLock : sql.tryLockShared,
      values: [lockNumber(schema, key)],
    });
  }

  async #lockGate(wish: Wish, mode: GateMode): Promise<true> {
    const { sql } = this.#attempt.database;
    // LOCK takes no snapshot, so the one that comes after it is new however long it waited.
    const session = await this.#attempt.sessionWithoutSnapshot();
    await this.#inSavepoint(session, wish, (send) => send(sql.gate(mode)));
    this.#noteGate(mode);
    return true;
  }

  #noteGate(mode: GateMode): void {
    if (this.#passed(mode)) return;
    this.#gates.add(mode);
    this.#taken.push({ text: this.#attempt.database.sql.gate(mode) });
  }

  /** Whether the gate is held in a mode that shuts out all that this one would. */
  #passed(mode: GateMode): boolean {
    return [...this.#gates].some((held) => held === mode || weaker[held].includes(mode));
  }

  /** Waits in the transaction for as long as it may, and leaves that as it was where the wait comes to nothing. */
  async #inSavepoint(
    session: Session,
    { target, timeoutMs, leftMs }: Wish,
    act: (send: (text: string, values?: readonly unknown[]) => Promise<unknown>) => Promise<unknown>,
  ): Promise<void> {
    // Zero would be no bound at all.
    const boundMs = Math.max(1, Math.ceil(leftMs));
    session.query(`SAVEPOINT semel_lock; SET LOCAL lock_timeout = ${boundMs}`).catch(() => undefined);
    try {
      await act((text, values) => session.query(text, values));
      await session.query(`SET LOCAL lock_timeout = ${limits.lockTimeoutMs}; RELEASE SAVEPOINT semel_lock`);
    } catch (error) {
      if (sqlStateOf(error) !== lockNotAvailable) throw await this.#attempt.failed(error);
      await session.query('ROLLBACK TO SAVEPOINT semel_lock; RELEASE SAVEPOINT semel_lock');
      session.forgetFailure();
      throw new LockTimeoutError(describeTarget(target), timeoutMs);
    }
  }
}

interface Wish {
  readonly target: LockTarget;
  readonly mode: LockMode;
  /** As the caller said, and what is left of it. */
  readonly timeoutMs: number;
  readonly leftMs: number;
  readonly ifAbsent: boolean;
}

function intention(mode: LockMode): GateMode {
  return mode === 'exclusive' ? 'ROW EXCLUSIVE' : 'ROW SHARE';
}

/** What each mode of the gate does as well as its own: it conflicts with everything that these conflict with. */
const weaker: Readonly<Record<GateMode, readonly GateMode[]>> = {
  'ROW SHARE': [],
  'ROW EXCLUSIVE': ['ROW SHARE'],
  SHARE: ['ROW SHARE'],
  EXCLUSIVE: ['ROW SHARE', 'ROW EXCLUSIVE', 'SHARE'],
};

/** A holder elsewhere takes a few milliseconds most often; one that takes seconds should not be asked a thousand times. */
const pauseMsFirst = 2;
const pauseMsMax = 50;
