import { limits } from '../../kv/limits.ts';
import { LockTable } from '../../kv/locks/lock-table.ts';
import type { Durability, Isolation, Version } from '../../kv/store.ts';
import type { World } from '../../kv/world.ts';
import type { Answer, Beginning, IsolationLevel, Session, Sessions } from './session.ts';
import { toldOf } from './sql-state.ts';
import { type Statements, statementsFor } from './statements.ts';

export interface DatabaseSettings {
  readonly schema: string;
  readonly durability: Durability;
  readonly idleInTransactionMs: number;
}

/** What the attempts of one store share: the connections, the clock as far as it was seen, and the locks of this process. */
export class PostgresDatabase {
  readonly sessions: Sessions;
  readonly schema: string;
  readonly durability: Durability;
  readonly sql: Statements;
  readonly world: World;
  readonly locks: LockTable;
  readonly #settings: readonly string[];
  #ages = 0;
  /** Of this opening: no other one has these bytes. */
  readonly #epoch: string;
  #versions = 0n;
  #newestMs = 0;

  constructor(sessions: Sessions, world: World, { schema, durability, idleInTransactionMs }: DatabaseSettings) {
    this.sessions = sessions;
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
    ].map((setting) => `SET LOCAL ${setting}`);
  }

  /** @throws DatabaseUnavailableError, DatabaseRefusedError */
  async connect(): Promise<Session> {
    try {
      return await this.sessions.open();
    } catch (error) {
      throw toldOf(error);
    }
  }

  /** Outside of transactions. @throws DatabaseUnavailableError, DatabaseRefusedError */
  async query(text: string, values: readonly unknown[]): Promise<Answer> {
    try {
      return await this.sessions.query(text, values);
    } catch (error) {
      throw toldOf(this.sessions.unwrap(error));
    }
  }

  beginning(isolation: Isolation): Beginning {
    return { isolation: levels[isolation], settings: this.#settings };
  }

  beginningToRead(): Beginning {
    return { isolation: 'repeatable read', settings: ['SET TRANSACTION READ ONLY', ...this.#settings] };
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

const levels: Readonly<Record<Isolation, IsolationLevel>> = {
  serializable: 'serializable',
  snapshot: 'repeatable read',
  'read-committed': 'read committed',
};

/** How soon the server notices in a long statement that its client is gone, and frees what that one held. */
const clientCheckMs = 1_000;
