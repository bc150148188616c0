/** The door `semel/postgres/knex`. */
import type { ClientBase } from 'pg';
import type { Connector } from '../connector.ts';
import type { IsolationLevel } from '../session.ts';

/** What is used of a `Knex` with the client `pg`, and of its transactions. */
export interface KnexQueries {
  /** Not declared by Knex: a pool, or the one connection of a transaction. */
  readonly client: unknown;
}

export interface KnexDatabase<Trx extends KnexQueries> extends KnexQueries {
  transaction(body: (trx: Trx) => Promise<void>, config: { readonly isolationLevel: IsolationLevel }): Promise<void>;
}

/**
 * Opens a store's transactions with Knex: `openStore({ connector: knexConnector(knex) })`. `await tx.client()` is then a
 * `Knex.Transaction`.
 */
export function knexConnector<Trx extends KnexQueries>(knex: KnexDatabase<Trx>): Connector<Trx> {
  return {
    transaction: (isolationLevel, body) => knex.transaction(body, { isolationLevel }),
    async query(text, values, trx) {
      // `raw` has its own placeholders, and would take a question mark in the text for one.
      const client = (trx ?? knex).client as KnexClient;
      const connection = await client.acquireConnection();
      try {
        return await connection.query(text, [...values]);
      } finally {
        await client.releaseConnection(connection);
      }
    },
  };
}

interface KnexClient {
  acquireConnection(): Promise<ClientBase>;
  /** Of a transaction's it does nothing. */
  releaseConnection(connection: ClientBase): Promise<void>;
}
