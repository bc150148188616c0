import type { Answer, IsolationLevel } from './session.ts';

/**
 * A user's client or ORM, as the store opens transactions through it. `Handle` is what that hands to the callback of its transactions.
 * The doors `semel/postgres/drizzle`, `/kysely`, `/knex` and `/prisma` have one each.
 */
export interface Connector<Handle> {
  /**
   * Opens a transaction, commits it when `body` resolves, rolls it back when that rejects, and answers with how that went. It runs `body`
   * once, and does not run it again.
   */
  transaction(isolation: IsolationLevel, body: (handle: Handle) => Promise<void>): Promise<void>;
  /**
   * Runs a statement with `$1` for its parameters, or several without parameters: in the transaction of `handle`, or in none. A `bytea` is
   * a Buffer, a `uuid` a string, a `float8` a number, a `bigint` a string. What it answers to several is not looked at.
   */
  query(text: string, values: readonly unknown[], handle: Handle | undefined): Promise<Answer | readonly unknown[]>;
  /**
   * What PostgreSQL said, with its `code` and `severity` as `pg` has them, where the client wraps that in an error of its own. Other
   * errors it answers as they are.
   */
  readonly unwrap?: (error: unknown) => unknown;
}
