import { type SemelError, TransactionClosedError } from '../../kv/errors.ts';
import type { Key, Range } from '../../kv/key.ts';
import { checkedScan } from '../../kv/reading.ts';
import type { Entry, ReadTransaction, ScanOptions } from '../../kv/store.ts';
import { EarlyClockError } from '../../kv/transact.ts';
import { encodeKey, encodeRange } from '../../kv/tuple.ts';
import type { Value } from '../../kv/value.ts';
import type { PostgresDatabase } from './postgres-database.ts';
import { entryOf, valueOf } from './row.ts';
import { RowReader, type RowSource } from './row-reader.ts';
import { rowsOf } from './rows-of.ts';
import type { Session } from './session.ts';
import { toldOf } from './sql-state.ts';
import type { Clock } from './statements.ts';

/** What is read of one snapshot; the state that it is in. */
export class SnapshotReading implements RowSource {
  readonly isStable = true;
  readonly reader = new RowReader(this);
  readonly tx: ReadTransaction = new PostgresSnapshot(this);
  readonly #database: PostgresDatabase;
  #opening: Promise<Session> | undefined;
  #clock: Promise<void> | undefined;
  #now: number | undefined;
  #isOver = false;

  constructor(database: PostgresDatabase) {
    this.#database = database;
  }

  get sql(): PostgresDatabase['sql'] {
    return this.#database.sql;
  }

  get now(): number {
    if (this.#now === undefined) throw new EarlyClockError();
    return this.#now;
  }

  session(): Promise<Session> {
    this.#opening ??= this.#open();
    return this.#opening;
  }

  async #open(): Promise<Session> {
    const session = await this.#database.connect();
    if (this.#isOver) {
      session.giveBack();
      this.requireOpen();
    }
    session.begin(this.#database.beginningToRead()).catch(() => undefined);
    this.#clock = this.#readClock(session);
    this.#clock.catch(() => undefined);
    return session;
  }

  async #readClock(session: Session): Promise<void> {
    const { rows } = await session.query<Clock>(this.sql.clock);
    for (const { now } of rows) this.#now = this.#database.tick(now);
  }

  /** Waits for the time, which comes with the snapshot. */
  async takeSnapshot(): Promise<void> {
    try {
      await this.session();
      await this.#clock;
    } catch (error) {
      throw toldOf(error);
    }
  }

  async failed(error: unknown): Promise<SemelError> {
    return this.#isOver ? new TransactionClosedError('its body has returned') : toldOf(error);
  }

  requireOpen(): void {
    if (this.#isOver) throw new TransactionClosedError('its body has returned');
  }

  close(isGivenUp: boolean): void {
    this.#isOver = true;
    this.#opening?.then(
      (session) => (isGivenUp && session.isBusy ? session.giveUp() : session.rollback()),
      () => undefined,
    );
  }
}

/** A read-only transaction of snapshot isolation. It conflicts with nothing. */
class PostgresSnapshot implements ReadTransaction {
  readonly #reading: SnapshotReading;

  constructor(reading: SnapshotReading) {
    this.#reading = reading;
  }

  get now(): number {
    this.#reading.requireOpen();
    return this.#reading.now;
  }

  async get(key: Key): Promise<Value | undefined> {
    this.#reading.requireOpen();
    const row = await this.#reading.reader.row(encodeKey(key));
    return row && valueOf(row);
  }

  async getMany(keys: readonly Key[]): Promise<readonly (Value | undefined)[]> {
    this.#reading.requireOpen();
    const rows = await this.#reading.reader.many(keys.map(encodeKey));
    return rows.map((row) => row && valueOf(row));
  }

  async getEntry(key: Key): Promise<Entry | undefined> {
    this.#reading.requireOpen();
    const row = await this.#reading.reader.row(encodeKey(key));
    return row && entryOf(row);
  }

  async *scan(range: Range, options: ScanOptions = {}): AsyncGenerator<Entry> {
    this.#reading.requireOpen();
    const { limit, reverse } = checkedScan(options);
    let count = 0;
    for await (const row of rowsOf(this.#reading.reader, encodeRange(range), { limit, reverse })) {
      this.#reading.requireOpen();
      if (row === undefined) return;
      yield entryOf(row);
      if (++count === limit) return;
    }
  }
}
