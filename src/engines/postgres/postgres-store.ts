import pg, { type Pool, type PoolClient } from 'pg';
import { Bound, requireTimeout } from '../../kv/bound.ts';
import { Call, Calls } from '../../kv/calls.ts';
import { InvalidArgumentError } from '../../kv/errors.ts';
import type { CallOptions, Durability, ReadOptions, ReadTransaction, Store, TransactOptions } from '../../kv/store.ts';
import { tell } from '../../kv/tell.ts';
import {
  type AttemptOptions,
  durabilities,
  EarlyClockError,
  type Engine,
  requireOneOf,
  type RetryableFault,
  transact,
} from '../../kv/transact.ts';
import { realWorld, type World } from '../../kv/world.ts';
import type { Connector } from './connector.ts';
import { ConnectorSessions } from './connector-session.ts';
import { defaultSchema, requireSchema } from './migrate.ts';
import { PooledSessions } from './pooled-session.ts';
import { PostgresAttempt } from './postgres-attempt.ts';
import { PostgresDatabase } from './postgres-database.ts';
import { SnapshotReading } from './postgres-snapshot.ts';
import type { PostgresTransaction } from './postgres-transaction.ts';
import type { Sessions } from './session.ts';
import { toldOf } from './sql-state.ts';

export interface PostgresOptions<Client = PoolClient> {
  /** Where the database is, as `postgres://user:password@host:port/database`. The store then has a pool of its own. */
  readonly url?: string;
  /**
   * A pool of the caller's, who also ends it. Made with `pipeline: true` (pg 8.23 and later) statements travel together; without, each is
   * a round trip of its own.
   */
  readonly pool?: Pool;
  /** The user's ORM, through which transactions are then opened, on its connections. Each statement is a round trip of its own. */
  readonly connector?: Connector<Client>;
  /** Where the tables are. Default `semel`. */
  readonly schema?: string;
  /** Connections of the store's own pool. Default 10. */
  readonly connectionsMax?: number;
  /** How long a connection is waited for, in milliseconds. Default 10 s. */
  readonly connectTimeoutMs?: number;
  /**
   * How long the store's own pool waits for an answer to a statement, in milliseconds; then the connection counts as lost. Default 60 s.
   */
  readonly answerTimeoutMs?: number;
  /** How long a transaction may do nothing before PostgreSQL ends it, and frees what it holds. Default 60 s. */
  readonly idleInTransactionMs?: number;
  /** Whether answers rest on what is on the server's disk, where a call does not say so itself. Default `durable`. */
  readonly durability?: Durability;
  readonly world?: World;
  /** Facts for metrics. What it throws, or rejects with, is dropped. */
  readonly onEvent?: (event: PostgresEvent) => void;
}

/** What happened in a store, in numbers: never a key, never a value. */
export type PostgresEvent = { readonly type: 'retried'; readonly fault: RetryableFault['code'] };

/** `Client` is what a body gets as `await tx.client()`. */
export type PostgresStore<Client = PoolClient> = Store<PostgresTransaction<Client>>;

const defaults = Object.freeze({
  connectionsMax: 10,
  connectTimeoutMs: 10_000,
  /** A server that is gone without a word must not be waited for until TCP gives up, which takes a quarter of an hour. */
  answerTimeoutMs: 60_000,
  /** Longer than any deadline that a request should have: who is silent for longer has vanished. */
  idleInTransactionMs: 60_000,
});

/**
 * Opens a store in a PostgreSQL database, whose schema `migrate` has made. Any number of processes may have it open.
 *
 * @throws InvalidArgumentError, SchemaMissingError, SchemaOutdatedError, SchemaNewerError, DatabaseUnavailableError, DatabaseRefusedError
 */
export async function openStore<Client = PoolClient>(options: PostgresOptions<Client>): Promise<PostgresStore<Client>> {
  requireOptions(options);
  const { world = realWorld, schema = defaultSchema, durability = 'durable' } = options;
  const { idleInTransactionMs = defaults.idleInTransactionMs } = options;
  const sessions = sessionsOf(options);
  try {
    await requireSchema({ query: (text) => sessions.query(text, []) }, schema);
  } catch (error) {
    await sessions.close();
    throw toldOf(sessions.unwrap(error));
  }
  const database = new PostgresDatabase(sessions, world, { schema, durability, idleInTransactionMs });
  return new OpenedStore<Client>(database, options.onEvent);
}

/** @throws InvalidArgumentError */
function requireOptions<Client>(options: PostgresOptions<Client>): void {
  const { url, pool, connector } = options;
  if ([url, pool, connector].filter((way) => way !== undefined).length !== 1) {
    throw new InvalidArgumentError('url', url, 'either a url, a pool or a connector');
  }
  if (options.durability !== undefined) requireOneOf('durability', options.durability, durabilities);
  for (const field of ['connectTimeoutMs', 'answerTimeoutMs', 'idleInTransactionMs'] as const) {
    requireTimeout(field, options[field]);
  }
  // Both pg and PostgreSQL take zero for no bound at all.
  for (const field of ['connectionsMax', 'connectTimeoutMs', 'answerTimeoutMs', 'idleInTransactionMs'] as const) {
    const value = options[field];
    if (value !== undefined && (!Number.isSafeInteger(value) || value < 1)) {
      throw new InvalidArgumentError(field, value, 'a whole number from 1');
    }
  }
}

function sessionsOf<Client>(options: PostgresOptions<Client>): Sessions {
  if (options.connector !== undefined) return new ConnectorSessions(options.connector);
  return new PooledSessions(options.pool ?? ownPool(options), options.pool === undefined);
}

function ownPool<Client>({ url, connectionsMax, connectTimeoutMs, answerTimeoutMs }: PostgresOptions<Client>): Pool {
  const pool = new pg.Pool({
    connectionString: url,
    max: connectionsMax ?? defaults.connectionsMax,
    connectionTimeoutMillis: connectTimeoutMs ?? defaults.connectTimeoutMs,
    query_timeout: answerTimeoutMs ?? defaults.answerTimeoutMs,
    pipeline: true,
    keepAlive: true,
  });
  // A connection that breaks while nobody uses it: the pool has dropped it already.
  pool.on('error', () => undefined);
  return pool;
}

class OpenedStore<Client> implements PostgresStore<Client> {
  readonly isRemote = true;
  readonly #database: PostgresDatabase;
  readonly #calls = new Calls();
  readonly #onRetry: (fault: RetryableFault) => void;
  #closed: Promise<void> | undefined;

  constructor(database: PostgresDatabase, onEvent: PostgresOptions['onEvent']) {
    this.#database = database;
    this.#onRetry = (fault) => tell(onEvent, { type: 'retried', fault: fault.code });
  }

  transact<T>(body: (tx: PostgresTransaction<Client>) => T | Promise<T>, options?: TransactOptions): Promise<T> {
    return this.#calls.run(new TransactCall<Client>(this.#database, this.#calls, this.#onRetry), (call) =>
      transact(call, call.within(body), options),
    );
  }

  read<T>(body: (tx: ReadTransaction) => T | Promise<T>, options: ReadOptions = {}): Promise<T> {
    return this.#calls.run(new Call(), async () => {
      if (options.durability !== undefined) requireOneOf('durability', options.durability, durabilities);
      const bound = new Bound(this.#database.world, options);
      try {
        return await this.#read(body, bound, false);
      } catch (error) {
        if (!(error instanceof EarlyClockError)) throw error;
        return await this.#read(body, bound, true);
      } finally {
        bound.close();
      }
    });
  }

  async #read<T>(body: (tx: ReadTransaction) => T | Promise<T>, bound: Bound, isEarly: boolean): Promise<T> {
    const reading = new SnapshotReading(this.#database);
    try {
      if (isEarly) await bound.race(reading.takeSnapshot());
      return await bound.race(body(reading.tx));
    } finally {
      reading.close(bound.fault !== undefined);
    }
  }

  async close(options?: CallOptions): Promise<void> {
    requireTimeout('timeoutMs', options?.timeoutMs);
    this.#closed ??= this.#close(options);
    return this.#closed;
  }

  async #close(options: CallOptions | undefined): Promise<void> {
    await this.#calls.close(this.#database.world, options);
    await this.#database.sessions.close();
  }
}

/** One call of `transact`, as the engine that it is given. */
class TransactCall<Client> extends Call implements Engine<PostgresTransaction<Client>> {
  readonly #database: PostgresDatabase;
  readonly #calls: Calls;
  readonly onRetry: (fault: RetryableFault) => void;
  /** Whether a body of it has asked for the time before its first read. */
  #snapshotFirst = false;

  constructor(database: PostgresDatabase, calls: Calls, onRetry: (fault: RetryableFault) => void) {
    super();
    this.#database = database;
    this.#calls = calls;
    this.onRetry = onRetry;
  }

  get world(): World {
    return this.#database.world;
  }

  begin(options: AttemptOptions): PostgresAttempt<Client> {
    this.#calls.requireOpen();
    const attempt = new PostgresAttempt<Client>(this.#database, options, () => (this.#snapshotFirst = true));
    this.attempt = attempt;
    this.#running = attempt;
    return attempt;
  }

  #running: PostgresAttempt<Client> | undefined;

  within<T>(
    body: (tx: PostgresTransaction<Client>) => T | Promise<T>,
  ): (tx: PostgresTransaction<Client>) => T | Promise<T> {
    return async (tx) => {
      if (this.#snapshotFirst) await this.#running?.takeSnapshot();
      try {
        return await body(tx);
      } catch (error) {
        await this.#running?.noteThrow(error);
        throw error;
      }
    };
  }
}
