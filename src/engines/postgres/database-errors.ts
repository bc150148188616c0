import { SemelError } from '../../kv/errors.ts';

/** The server cannot be reached, does not take the connection, or lost it before the commit was sent. Nothing happened. */
export class DatabaseUnavailableError extends SemelError {
  readonly code = 'database-unavailable';
  readonly effect = 'did-not-happen';

  constructor(advice: string, options: { readonly cause: unknown }) {
    super(`PostgreSQL is not available: ${reasonOf(options.cause)}. ${advice}`, options);
  }
}

/** The server refuses what the store needs: to log in, a right, to write, room. Nothing happened. */
export class DatabaseRefusedError extends SemelError {
  readonly code = 'database-refused';
  readonly effect = 'did-not-happen';
  /** PostgreSQL's own code of five characters (its manual, appendix A). */
  readonly sqlState: string;

  constructor(sqlState: string, advice: string, options: { readonly cause: unknown }) {
    super(`PostgreSQL refuses: ${reasonOf(options.cause)} (${sqlState}). ${advice}`, options);
    this.sqlState = sqlState;
  }
}

function reasonOf(cause: unknown): string {
  // Several addresses of one host fail as one error, whose own message is empty.
  const first: unknown = cause instanceof AggregateError ? cause.errors[0] : cause;
  return first instanceof Error && first.message !== '' ? first.message : String(first);
}
