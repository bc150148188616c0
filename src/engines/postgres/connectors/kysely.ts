/** The door `semel/postgres/kysely`. */
import type { Connector } from '../connector.ts';
import type { Answer, IsolationLevel } from '../session.ts';

/** What is used of a `Kysely` with the `PostgresDialect`, and of its transactions. */
export interface KyselyQueries {
  withoutPlugins(): object;
}

export interface KyselyDatabase<Trx extends KyselyQueries> extends KyselyQueries {
  transaction(): {
    setIsolationLevel(isolation: IsolationLevel): { execute(body: (trx: Trx) => Promise<void>): Promise<void> };
  };
}

/**
 * Opens a store's transactions with Kysely: `openStore({ connector: kyselyConnector(db) })`. `await tx.client()` is then a `Transaction`.
 *
 * Nobody listens to a connection of the pool while Kysely has it, and a break that nobody hears ends the process. So the pool needs
 * `pool.on('connect', (client) => client.on('error', () => {}))`.
 */
export function kyselyConnector<Trx extends KyselyQueries>(db: KyselyDatabase<Trx>): Connector<Trx> {
  return {
    transaction: (isolation, body) => db.transaction().setIsolationLevel(isolation).execute(body),
    async query(text, values, trx) {
      // Plugins may rename columns.
      const { rows, numAffectedRows } = await queriesOf(trx ?? db).executeQuery(compiled(text, values));
      return { rows, rowCount: numAffectedRows === undefined ? rows.length : Number(numAffectedRows) };
    },
  };
}

interface KyselyExecutor {
  executeQuery(query: object): Promise<{ readonly rows: Answer['rows']; readonly numAffectedRows?: bigint }>;
}

function queriesOf(db: KyselyQueries): KyselyExecutor {
  return db.withoutPlugins() as KyselyExecutor;
}

/** What Kysely's `CompiledQuery.raw` makes, made here so that this door imports nothing. */
function compiled(text: string, values: readonly unknown[]): object {
  return {
    sql: text,
    parameters: [...values],
    query: { kind: 'RawNode', sqlFragments: [text], parameters: [] },
    queryId: { queryId: `semel_${++queries}` },
  };
}

let queries = 0;
