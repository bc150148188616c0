import type { QueryResultRow } from 'pg';

/** In PostgreSQL's words. */
export type IsolationLevel = 'serializable' | 'repeatable read' | 'read committed';

export interface Beginning {
  readonly isolation: IsolationLevel;
  /** Statements that follow at once, and take no snapshot. */
  readonly settings: readonly string[];
}

export interface Answer<Row = QueryResultRow> {
  readonly rows: readonly Row[];
  readonly rowCount: number | null;
}

/**
 * One transaction on one connection, however that was come by.
 *
 * *New* → *open* with `begin`: statements are given without waiting for the answers to earlier ones, and are carried out and answered in
 * their order. → *ending*, when COMMIT or ROLLBACK is sent. → *gone*, when it was given back or given up.
 */
export interface Session {
  /** Why the transaction is lost, where a statement of it has failed: PostgreSQL then takes no other. */
  readonly failure: unknown;
  readonly isOpen: boolean;
  /** Whether something of it may still run. */
  readonly isBusy: boolean;
  /** Whether whoever has the handle ended the transaction with it. */
  readonly isEndedByOthers: boolean;
  /** Ahead of the transaction, or after its end: a read that is none of its own. */
  look<Row extends QueryResultRow>(text: string, values: readonly unknown[]): Promise<Answer<Row>>;
  /** `first` is a statement that travels with BEGIN. */
  begin(beginning: Beginning, first?: string): Promise<unknown>;
  /** One of the store's own. Without parameters it may be several statements. */
  query<Row extends QueryResultRow = QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Answer<Row>>;
  /** One of the user's. PostgreSQL's extended protocol takes no second one with it. */
  statement<Row extends QueryResultRow>(text: string, values: readonly unknown[]): Promise<Answer<Row>>;
  /** Resolves when what was sent is certain to be carried out before what others send. */
  inOrder(): Promise<void>;
  /** The user's own way into this transaction; only for who has waited for `inOrder`. */
  handOut(): unknown;
  /** After a statement failed inside a savepoint, and that was rolled back. */
  forgetFailure(): void;
  /** Whether it is committed; a failed transaction's COMMIT is a ROLLBACK. `onSent` is called when only the answer can tell. */
  commit(onSent: () => void): Promise<boolean>;
  /** Ends it without a commit, unless it has been ended, and gives the connection back. Nobody waits for the answer. */
  rollback(): void;
  /** Resolves when nothing of the transaction is left; the session can still `look`. */
  undo(): Promise<void>;
  /** After its end: the connection is free for others. */
  giveBack(): void;
  /** Ends it although a statement of it may run, which the server is asked to cancel. */
  giveUp(): void;
}

/** Where a store's sessions come from. */
export interface Sessions {
  /** @throws what says that there is no connection */
  open(): Promise<Session>;
  /** Outside of transactions. */
  query(text: string, values: readonly unknown[]): Promise<Answer>;
  /** The error as PostgreSQL told it, where the user's client wraps it. */
  unwrap(error: unknown): unknown;
  close(): Promise<void>;
}
