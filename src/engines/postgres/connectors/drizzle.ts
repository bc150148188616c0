/** The door `semel/postgres/drizzle`. */
import type { ClientBase } from 'pg';
import type { Connector } from '../connector.ts';
import type { Answer, IsolationLevel } from '../session.ts';

/** What is used of a database of `drizzle-orm/node-postgres`, and of its transactions. */
export interface DrizzleQueries {
  readonly _: { readonly session: object };
}

export interface DrizzleDatabase<Tx extends DrizzleQueries> extends DrizzleQueries {
  transaction(body: (tx: Tx) => Promise<void>, config: { readonly isolationLevel: IsolationLevel }): Promise<void>;
}

/**
 * Opens a store's transactions with Drizzle, on the pool that it was made with: `openStore({ connector: drizzleConnector(db) })`.
 * `await tx.client()` is then what Drizzle hands to the callback of `db.transaction`.
 */
export function drizzleConnector<Tx extends DrizzleQueries>(db: DrizzleDatabase<Tx>): Connector<Tx> {
  return {
    transaction: (isolationLevel, body) =>
      db.transaction(
        async (tx) => {
          const { client } = sessionOf(tx);
          client.on('error', ignore);
          try {
            await body(tx);
          } finally {
            client.off('error', ignore);
          }
        },
        { isolationLevel },
      ),
    query: (text, values, tx) =>
      sessionOf(tx ?? db)
        .prepareQuery({ sql: text, params: [...values] }, undefined, undefined, false)
        .execute(),
    // Its own error has the statement's parameters in the message.
    unwrap: (error) => (error instanceof Error && 'query' in error && 'params' in error ? error.cause : error),
  };
}

/** Not declared by Drizzle to the outside. */
interface DrizzleSession {
  readonly client: ClientBase;
  /** What `db.execute` calls, once it has made text and parameters of its template. */
  prepareQuery(
    query: { readonly sql: string; readonly params: unknown[] },
    fields: undefined,
    name: undefined,
    isResponseInArrayMode: false,
  ): { execute(): Promise<Answer> };
}

function sessionOf({ _ }: DrizzleQueries): DrizzleSession {
  return _.session as DrizzleSession;
}

/** Neither the pool nor Drizzle listens while the connection is taken, and a break that nobody hears would end the process. */
function ignore(): void {}
