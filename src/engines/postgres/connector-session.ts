import type { QueryResultRow } from 'pg';
import { assert } from '../../kv/assert.ts';
import { TransactionClosedError } from '../../kv/errors.ts';
import type { Connector } from './connector.ts';
import type { Answer, Beginning, Session, Sessions } from './session.ts';
import { failedTransaction, innermost, noActiveTransaction, sqlStateOf } from './sql-state.ts';

/** Over a user's client or ORM, which has connections of its own. */
export class ConnectorSessions<Handle> implements Sessions {
  readonly #connector: Connector<Handle>;

  constructor(connector: Connector<Handle>) {
    this.#connector = connector;
  }

  async open(): Promise<Session> {
    return new ConnectorSession(this.#connector);
  }

  async query(text: string, values: readonly unknown[]): Promise<Answer> {
    return queryOf(this.#connector, text, values, undefined);
  }

  unwrap(error: unknown): unknown {
    return unwrapped(this.#connector, error);
  }

  async close(): Promise<void> {
    // The connections are the user's.
  }
}

/**
 * A transaction that a connector opened, whose callback stays pending for as long as it is open.
 *
 * *New*: there is no transaction yet. → *open* with `begin`. Statements go one by one, for no ORM promises an order among those that it
 * is given at once. → *ending*, when the callback settles: resolved for COMMIT, rejected for ROLLBACK; never before the statements that
 * were given are answered, since afterwards the connection is somebody else's. Statements that come later are refused.
 * → *gone* when it is given back or up; what it was given, and has not sent, is refused then.
 */
class ConnectorSession<Handle> implements Session {
  readonly #connector: Connector<Handle>;
  #state: 'new' | 'open' | 'ending' | 'gone' = 'new';
  readonly #opened = Promise.withResolvers<Handle>();
  readonly #ended = Promise.withResolvers<void>();
  /** The ORM's own promise. */
  #transaction: Promise<void> = Promise.resolve();
  #last: Promise<unknown> = this.#opened.promise;
  #unanswered = 0;
  #handle: Handle | undefined;
  #handedOut = false;
  #isEndedByOthers = false;
  #failure: unknown;
  /** The number of the server's process, which some answers bring. */
  #backend: number | undefined;

  constructor(connector: Connector<Handle>) {
    this.#connector = connector;
    this.#opened.promise.catch(() => undefined);
    this.#ended.promise.catch(() => undefined);
  }

  get failure(): unknown {
    return this.#failure;
  }

  forgetFailure(): void {
    this.#failure = undefined;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** Of what runs through the handle it knows nothing. */
  get isBusy(): boolean {
    return this.#unanswered > 0 || this.#handedOut;
  }

  get isEndedByOthers(): boolean {
    return this.#isEndedByOthers;
  }

  look<Row extends QueryResultRow>(text: string, values: readonly unknown[]): Promise<Answer<Row>> {
    return queryOf<Handle, Row>(this.#connector, text, values, undefined);
  }

  begin({ isolation, settings }: Beginning, ...first: string[]): Promise<unknown> {
    assert(this.#state === 'new', 'a session begins once');
    this.#state = 'open';
    this.#transaction = this.#connector.transaction(isolation, (handle) => {
      this.#handle = handle;
      this.#opened.resolve(handle);
      return this.#ended.promise;
    });
    this.#transaction.catch((error: unknown) => this.#opened.reject(unwrapped(this.#connector, error)));
    return this.query([...settings, ...first].join('; '));
  }

  async query<Row extends QueryResultRow = QueryResultRow>(
    text: string,
    values: readonly unknown[] = [],
  ): Promise<Answer<Row>> {
    const answer = await this.#tracked<Row>(text, values);
    const backend: unknown = answer.rows[0]?.['backend'];
    if (typeof backend === 'number') this.#backend = backend;
    return answer;
  }

  statement<Row extends QueryResultRow>(text: string, values: readonly unknown[]): Promise<Answer<Row>> {
    return this.#tracked<Row>(text, values);
  }

  async #tracked<Row extends QueryResultRow>(text: string, values: readonly unknown[]): Promise<Answer<Row>> {
    this.#unanswered++;
    const send = (): Promise<Answer> => this.#send(text, values);
    const answer = this.#last.then(send, send);
    this.#last = answer;
    try {
      return (await answer) as Answer<Row>;
    } catch (error) {
      // LOCK TABLE, with which every flush begins, and SAVEPOINT fail so.
      if (sqlStateOf(error) === noActiveTransaction) this.#isEndedByOthers = true;
      if (sqlStateOf(error) !== failedTransaction) this.#failure ??= error;
      throw this.#isEndedByOthers ? new TransactionClosedError(endedByBody, { cause: error }) : error;
    } finally {
      this.#unanswered--;
    }
  }

  async #send(text: string, values: readonly unknown[]): Promise<Answer> {
    const handle = await this.#opened.promise;
    if (this.#state !== 'open') throw new TransactionClosedError('its attempt has ended');
    // Each would be a transaction of its own.
    if (this.#isEndedByOthers) throw new TransactionClosedError(endedByBody);
    return queryOf(this.#connector, text, values, handle);
  }

  async inOrder(): Promise<void> {
    await this.#last.catch(() => undefined);
  }

  handOut(): unknown {
    this.#handedOut = true;
    return this.#handle;
  }

  /**
   * ORMs do not tell a COMMIT from the ROLLBACK that it is in a failed transaction. So the last statement is one that fails there; and
   * where others may have sent something behind it, the server is asked what became of the transaction.
   */
  async commit(onSent: () => void): Promise<boolean> {
    const { rows } = await this.query<{ id: string | null }>(identify);
    if (this.#state !== 'open') throw new TransactionClosedError('its attempt has ended');
    this.#state = 'ending';
    onSent();
    this.#ended.resolve();
    try {
      await this.#transaction;
    } catch (error) {
      throw unwrapped(this.#connector, error);
    }
    const id = rows[0]?.id ?? undefined;
    // Without an identity it has written nothing.
    return !this.#handedOut || id === undefined || this.#isCommitted(id);
  }

  async #isCommitted(id: string): Promise<boolean> {
    try {
      const { rows } = await this.look(fate, [id]);
      return rows[0]?.['fate'] === 'committed';
    } catch (error) {
      throw new Error('the server does not tell what became of the transaction', { cause: error });
    }
  }

  rollback(): void {
    void this.undo().then(() => this.giveBack());
  }

  async undo(): Promise<void> {
    if (this.#state === 'open') {
      this.#state = 'ending';
      const end = (): Promise<void> => {
        this.#ended.reject(new RolledBack());
        return this.#transaction;
      };
      this.#last = this.#last.then(end, end);
      this.#last.catch(() => undefined);
    }
    // Where ROLLBACK fails the connection is lost, and the transaction with it.
    await this.#transaction.catch(() => undefined);
  }

  giveBack(): void {
    this.#state = 'gone';
  }

  giveUp(): void {
    if (this.#state === 'gone') return;
    const { isBusy } = this;
    void this.undo();
    this.#state = 'gone';
    if (isBusy && this.#backend !== undefined) this.look(cancel, [this.#backend]).catch(() => undefined);
  }
}

/** What the callback of an ORM is rejected with for ROLLBACK. */
class RolledBack extends Error {
  constructor() {
    super('rolled back');
  }
}

async function queryOf<Handle, Row extends QueryResultRow>(
  connector: Connector<Handle>,
  text: string,
  values: readonly unknown[],
  handle: Handle | undefined,
): Promise<Answer<Row>> {
  try {
    const answer = await connector.query(text, values, handle);
    return 'rows' in answer ? (answer as Answer<Row>) : { rows: [], rowCount: null };
  } catch (error) {
    throw unwrapped(connector, error);
  }
}

function unwrapped<Handle>(connector: Connector<Handle>, error: unknown): unknown {
  return innermost(error, connector.unwrap);
}

const endedByBody = 'a statement of its body has ended it';

const identify = 'SELECT pg_current_xact_id_if_assigned()::text AS id';
const fate = 'SELECT pg_xact_status($1::text::xid8) AS fate';
const cancel = 'SELECT pg_cancel_backend($1::integer)';
