import type { Pool } from 'pg';
import { limits } from '../../kv/limits.ts';
import { LockTable } from '../../kv/locks/lock-table.ts';
import type { Durability, Isolation, Version } from '../../kv/store.ts';
import type { World } from '../../kv/world.ts';
import { Session } from './session.ts';
import { toldOf } from './sql-state.ts';
import { type Statements, statementsFor } from './statements.ts';

export interface DatabaseSettings {
  readonly schema: string;
  readonly durability: Durability;
  readonly idleInTransactionMs: number;
}

/** What the attempts of one store share: the pool, the clock as far as it was seen, and the locks of this process. */
export class PostgresDatabase {
  readonly pool: Pool;
  readonly schema: string;
  readonly durability: Durability;
  readonly sql: Statements;
  readonly world: World;
  readonly locks: LockTable;
  readonly #settings: string;
  #ages = 0;
  /** Of this opening: no other one has these bytes. */
  readonly #epoch: string;
  #versions = 0n;
  #newestMs = 0;

  constructor(pool: Pool, world: World, { schema, durability, idleInTransactionMs }: DatabaseSettings) {
    this.pool = pool;
    this.world = world;
    this.schema = schema;
    this.durability = durability;
    this.sql = statementsFor(schema);
    this.locks = new LockTable(world);
    this.#epoch = Buffer.from(world.randomBytes(8)).toString('hex');
    // For the transaction alone, so that they hold through a pooler too, and are gone from the connection with it.
    this.#settings = [
      `lock_timeout = ${limits.lockTimeoutMs}`,
      `idle_in_transaction_session_timeout = ${idleInTransactionMs}`,
      `client_connection_check_interval = ${clientCheckMs}`,
    ]
      .map((setting) => `; SET LOCAL ${setting}`)
      .join('');
  }

  /** @throws DatabaseUnavailableError, DatabaseRefusedError */
  async connect(): Promise<Session> {
    try {
      return new Session(await this.pool.connect());
    } catch (error) {
      throw toldOf(error);
    }
  }

  begin(isolation: Isolation): string {
    return `BEGIN ISOLATION LEVEL ${levels[isolation]}${this.#settings}`;
  }

  beginReading(): string {
    return `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY${this.#settings}`;
  }

  takeAge(): number {
    return ++this.#ages;
  }

  /** Written as a UUID, which PostgreSQL keeps in sixteen bytes. */
  takeVersion(): Version {
    const number = (++this.#versions).toString(16).padStart(16, '0');
    const hex = this.#epoch + number;
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
  }

  /** The server's clock, which this process never sees go back. */
  tick(serverMs: number): number {
    this.#newestMs = Math.max(this.#newestMs, serverMs);
    return this.#newestMs;
  }
}

const levels: Readonly<Record<Isolation, string>> = {
  serializable: 'SERIALIZABLE',
  snapshot: 'REPEATABLE READ',
  'read-committed': 'READ COMMITTED',
};

/** How soon the server notices in a long statement that its client is gone, and frees what that one held. */
const clientCheckMs = 1_000;
