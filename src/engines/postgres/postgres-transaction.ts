import type { PoolClient, QueryResultRow } from 'pg';
import { BufferedTransaction, type BufferingContext } from '../../kv/buffered-transaction.ts';
import { LimitExceededError } from '../../kv/errors.ts';
import type { Key, Range } from '../../kv/key.ts';
import { limits } from '../../kv/limits.ts';
import { keyTarget, lockTarget, type LockTarget } from '../../kv/locks/lock-target.ts';
import { checkedScan, ownEntry } from '../../kv/reading.ts';
import type { AddOutcome, Bounds, Entry, LockOptions, ScanOptions, Transaction, Version } from '../../kv/store.ts';
import { requireOneOf } from '../../kv/transact.ts';
import { encodeKey, type EncodedKey, encodeRange } from '../../kv/tuple.ts';
import { readValue, storeValue, type StoredValue, type Value } from '../../kv/value.ts';
import { checkedAddition, sumOf, type Write, WriteBuffer } from '../../kv/write-buffer.ts';
import type { LockWish } from './database-locks.ts';
import { encodedKeyOf, entryOf, type StoredRow, valueOf } from './row.ts';
import type { RowReader } from './row-reader.ts';
import { rowsOf } from './rows-of.ts';
import type { Session } from './session.ts';
import { requireHarmless } from './user-statement.ts';

/** What a transaction needs of its attempt. */
export interface TransactionContext extends BufferingContext {
  readonly now: number;
  readonly version: Version;
  readonly reader: RowReader;
  session(): Promise<Session>;
  /** What is committed of a key, and may change without a conflict. */
  peek(key: EncodedKey): Promise<StoredRow | undefined>;
  /** Whether it is held; with `ifAbsent` it need not be. */
  lock(target: LockTarget, options: LockWish): Promise<boolean>;
  /** Waits for what the commit would have to wait for. */
  prepare(buffer: WriteBuffer): Promise<void>;
  fail(key: EncodedKey): Error;
  noteFailure(error: unknown): void;
  openSavepoint(session: Session): Savepoint;
  undo(session: Session, savepoint: Savepoint): void;
}

export interface Savepoint {
  readonly name: string;
  /** How many locks were held when it was made. */
  readonly locks: number;
}

export interface SqlResult<Row> {
  readonly rows: readonly Row[];
  /** Rows that the statement returned or changed. */
  readonly rowCount: number;
}

/**
 * What a body holds on PostgreSQL: a store's transaction, and the same transaction for the user's own tables. `Client` is what the user's
 * own client or ORM calls a transaction.
 */
export class PostgresTransaction<Client = PoolClient> extends BufferedTransaction implements Transaction {
  readonly #attempt: TransactionContext;
  readonly #buffer: WriteBuffer;
  readonly #scope: SqlScope;

  constructor(attempt: TransactionContext, buffer = new WriteBuffer(), scope = new SqlScope(attempt, undefined)) {
    super(attempt, buffer);
    this.#attempt = attempt;
    this.#buffer = buffer;
    this.#scope = scope;
  }

  // The engine hands out no other kind of transaction than this one.
  protected override within(buffer: WriteBuffer): this {
    return new PostgresTransaction(this.#attempt, buffer, new SqlScope(this.#attempt, this.#scope)) as this;
  }

  get now(): number {
    this.requireOpen();
    return this.#attempt.now;
  }

  get version(): Version {
    this.requireOpen();
    return this.#attempt.version;
  }

  /**
   * Runs one statement of the user's in this transaction. It commits with everything else, or not at all; a nested scope that is
   * discarded takes it back.
   *
   * @throws InvalidArgumentError for a statement that would end or split the transaction; what PostgreSQL says, as `pg` tells it
   */
  async sql<Row extends QueryResultRow = QueryResultRow>(
    text: string,
    values: readonly unknown[] = [],
  ): Promise<SqlResult<Row>> {
    this.requireOpen();
    requireHarmless(text);
    const session = await this.#scope.enter();
    try {
      const { rows, rowCount } = await session.statement<Row>(text, values);
      return { rows, rowCount: rowCount ?? 0 };
    } catch (error) {
      this.#attempt.noteFailure(error);
      throw error;
    }
  }

  /**
   * This transaction as the user's client or ORM has it. What runs through it commits with everything else, or not at all; a nested scope
   * that is discarded takes it back, from where the scope asked for it. It must not end the transaction, and every statement is waited for.
   */
  async client(): Promise<Client> {
    this.requireOpen();
    const session = await this.#scope.enter();
    await session.inOrder();
    this.requireOpen();
    // What the sessions of a store hand out is told by the options that it was opened with.
    return session.handOut() as Client;
  }

  async get(key: Key): Promise<Value | undefined> {
    this.requireOpen();
    const [value] = await this.#values([encodeKey(key)]);
    return value;
  }

  async getMany(keys: readonly Key[]): Promise<readonly (Value | undefined)[]> {
    this.requireOpen();
    return this.#values(keys.map(encodeKey));
  }

  async getEntry(key: Key): Promise<Entry | undefined> {
    this.requireOpen();
    const encoded = encodeKey(key);
    const write = this.#buffer.get(encoded);
    if (write === undefined) {
      const row = await this.#attempt.reader.row(encoded);
      return row && entryOf(row);
    }
    const stored = await this.#own(write);
    return stored && ownEntry(encoded, stored);
  }

  /** At `read-committed` each portion that is fetched is a read of its own. */
  async *scan(range: Range, options: ScanOptions = {}): AsyncGenerator<Entry> {
    this.requireOpen();
    const { limit, reverse } = checkedScan(options);
    const whole = encodeRange(range);
    const writes = this.#buffer.writesIn(whole, reverse);
    const isBefore = (a: EncodedKey, b: EncodedKey): boolean => (reverse ? a > b : a < b);
    let next = 0;
    let count = 0;
    for await (const row of rowsOf(this.#attempt.reader, whole, { limit, reverse })) {
      this.requireOpen();
      const key = row === undefined ? undefined : encodedKeyOf(row);
      for (let write = writes[next]; write !== undefined; write = writes[++next]) {
        if (key !== undefined && !isBefore(write.key, key)) break;
        const stored = await this.#own(write);
        if (stored === undefined) continue;
        yield ownEntry(write.key, stored);
        this.requireOpen();
        if (++count === limit) return;
      }
      if (row === undefined || writes[next]?.key === key) continue;
      yield entryOf(row);
      this.requireOpen();
      if (++count === limit) return;
    }
  }

  async add(key: Key, amount: number | bigint, bounds: Bounds = {}): Promise<AddOutcome> {
    this.requireOpen();
    const encoded = encodeKey(key);
    const addition = checkedAddition(amount, bounds);
    const isOwn = (write: Write | undefined): boolean => write !== undefined && write.kind !== 'added';
    let row = isOwn(this.#buffer.get(encoded)) ? undefined : await this.#attempt.peek(encoded);
    this.requireOpen();
    for (let isRead = false; ; isRead = true) {
      const write = this.#buffer.get(encoded);
      if (write !== undefined && write.kind !== 'added') {
        const sum = sumOf(write.kind === 'set' ? write.stored.value : undefined, [addition]);
        if (sum.outcome === 'refused') return sum;
        this.#buffer.put({ kind: 'set', key: encoded, stored: storeValue(sum.sum) });
        return { outcome: 'ok' };
      }
      const additions = [...(write?.additions ?? []), addition];
      if (additions.length > limits.additionsMax) {
        throw new LimitExceededError('additionsMax', limits.additionsMax, additions.length);
      }
      const sum = sumOf(row === undefined ? undefined : valueOf(row), additions);
      if (sum.outcome === 'ok') {
        this.#buffer.put({ kind: 'added', key: encoded, additions });
        return { outcome: 'ok' };
      }
      if (isRead) return sum;
      // A refusal rests on what the transaction has read, so it is read in it.
      row = await this.#attempt.reader.row(encoded);
      this.requireOpen();
    }
  }

  async lock(target: Key | Range, options: LockOptions = {}): Promise<void> {
    this.requireOpen();
    if (options.mode !== undefined) requireOneOf('mode', options.mode, ['shared', 'exclusive']);
    await this.#attempt.lock(lockTarget(target), options);
  }

  async lockIfAbsent(key: Key, options: Omit<LockOptions, 'mode'> = {}): Promise<boolean> {
    this.requireOpen();
    return this.#attempt.lock(keyTarget(encodeKey(key)), { ...options, ifAbsent: true });
  }

  async prepare(): Promise<void> {
    this.requireOpen();
    await this.#attempt.prepare(this.#buffer);
  }

  override async nest<T>(body: (tx: this) => T | Promise<T>): Promise<T> {
    let scope: SqlScope | undefined;
    try {
      return await super.nest((inner) => {
        scope = inner.#scope;
        return body(inner);
      });
    } catch (error) {
      this.#attempt.noteFailure(error);
      await scope?.undo();
      throw error;
    }
  }

  async #values(keys: readonly EncodedKey[]): Promise<readonly (Value | undefined)[]> {
    const unwritten = keys.filter((key) => this.#buffer.get(key) === undefined);
    const rows = new Map<EncodedKey, StoredRow | undefined>();
    if (unwritten.length > 0) {
      const found = await this.#attempt.reader.many(unwritten);
      unwritten.forEach((key, index) => rows.set(key, found[index]));
    }
    const values: (Value | undefined)[] = [];
    for (const key of keys) {
      const write = this.#buffer.get(key);
      if (write === undefined) {
        const row = rows.get(key);
        values.push(row && valueOf(row));
      } else {
        const stored = await this.#own(write);
        values.push(stored && readValue(stored));
      }
    }
    return values;
  }

  /** What this transaction has made of a key. Only additions rest on what was there before, so only they read it. */
  async #own(write: Write): Promise<StoredValue | undefined> {
    if (write.kind !== 'added') return write.stored;
    const row = await this.#attempt.reader.row(write.key);
    const sum = sumOf(row === undefined ? undefined : valueOf(row), write.additions);
    // The value may have moved out of the bounds since it was peeked at.
    if (sum.outcome === 'refused') throw this.#attempt.fail(write.key);
    return storeValue(sum.sum);
  }
}

/** A nested scope, as PostgreSQL sees it: a savepoint, made when a statement of the user's runs in it, and not before. */
class SqlScope {
  readonly #attempt: TransactionContext;
  readonly #parent: SqlScope | undefined;
  #savepoint: { readonly session: Session; readonly at: Savepoint } | undefined;

  constructor(attempt: TransactionContext, parent: SqlScope | undefined) {
    this.#attempt = attempt;
    this.#parent = parent;
  }

  async enter(): Promise<Session> {
    const session = await this.#attempt.session();
    this.#open(session);
    return session;
  }

  /** The outermost first: what it rolls back holds the inner ones. */
  #open(session: Session): void {
    if (this.#parent === undefined) return;
    this.#parent.#open(session);
    if (this.#savepoint !== undefined) return;
    this.#savepoint = { session, at: this.#attempt.openSavepoint(session) };
  }

  async undo(): Promise<void> {
    if (this.#savepoint === undefined) return;
    const { session, at } = this.#savepoint;
    if (!session.isOpen) return;
    this.#attempt.undo(session, at);
    await session.inOrder();
  }
}
