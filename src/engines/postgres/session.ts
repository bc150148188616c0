import { connect } from 'node:net';
import type { PoolClient, QueryConfig, QueryResult, QueryResultRow } from 'pg';
import { assert } from '../../kv/assert.ts';
import { failedTransaction, sqlStateOf } from './sql-state.ts';

/**
 * One transaction on one connection of the pool.
 *
 * *Open*: statements are sent as soon as they are given, without waiting for the answers to earlier ones, and are answered in their
 * order. → *ending*, when COMMIT or ROLLBACK is sent; the connection goes back to the pool with its answer. → *gone*, when the
 * connection broke, or was given up while a statement ran: then it is closed, and the server, where the statement may still run, is
 * asked to cancel it.
 */
export class Session {
  readonly #client: PoolClient;
  #state: 'open' | 'ending' | 'gone' = 'open';
  #unanswered = 0;
  #handedOut = false;
  /** The last one sent; for clients that do not pipeline. */
  #last: Promise<unknown> = Promise.resolve();
  #failure: unknown;

  constructor(client: PoolClient) {
    this.#client = client;
    client.on('error', this.#onError);
  }

  /** Why the transaction is lost, where a statement of it has failed: PostgreSQL then takes no other. */
  get failure(): unknown {
    return this.#failure;
  }

  /** After a statement failed inside a savepoint, and that was rolled back. */
  forgetFailure(): void {
    this.#failure = undefined;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  /** For the user's own statements, in this transaction. From there on only the server knows whether it is still open. */
  handOut(): PoolClient {
    this.#handedOut = true;
    return this.#client;
  }

  /** Whether whoever has the client ended the transaction with it. */
  get isEndedByOthers(): boolean {
    return this.#handedOut && this.#unanswered === 0 && this.#client.getTransactionStatus() === 'I';
  }

  /** One statement: PostgreSQL's extended protocol takes no second one. */
  statement<Row extends QueryResultRow>(text: string, values: readonly unknown[]): Promise<QueryResult<Row>> {
    return this.#tracked<Row>({ text, values: [...values], ...extended });
  }

  /** Without parameters it may be several statements. */
  query<Row extends QueryResultRow = QueryResultRow>(
    text: string,
    values?: readonly unknown[],
  ): Promise<QueryResult<Row>> {
    return this.#tracked<Row>(values === undefined ? { text } : { text, values: [...values] });
  }

  async #tracked<Row extends QueryResultRow>(config: QueryConfig): Promise<QueryResult<Row>> {
    assert(this.#state !== 'gone', 'a session that is gone is not used');
    this.#unanswered++;
    try {
      return await this.#send<Row>(config);
    } catch (error) {
      if (sqlStateOf(error) !== failedTransaction) this.#failure ??= error;
      throw error;
    } finally {
      this.#unanswered--;
    }
  }

  #send<Row extends QueryResultRow>(config: QueryConfig): Promise<QueryResult<Row>> {
    const sent = (): Promise<QueryResult<Row>> => this.#client.query<Row>(config);
    if (this.#client.pipeline) return sent();
    const answer = this.#last.then(sent, sent);
    this.#last = answer;
    return answer;
  }

  /** Sends the last statement, and gives the connection back when it is answered, whatever the answer. */
  async end(text: 'COMMIT' | 'ROLLBACK'): Promise<QueryResult> {
    assert(this.#state === 'open', 'a transaction ends once');
    this.#state = 'ending';
    return this.query(text);
  }

  /** Ends it without a commit, unless it has been ended, and gives the connection back. Nobody waits for the answer. */
  rollback(): void {
    this.undo().then(
      () => this.giveBack(),
      () => this.giveUp(),
    );
  }

  /** Resolves when nothing of the transaction is left; the connection is kept. */
  async undo(): Promise<void> {
    if (this.#state === 'open') await this.end('ROLLBACK');
  }

  /** After its end: the connection is free for others. */
  giveBack(): void {
    if (this.#state === 'gone') return;
    this.#state = 'gone';
    this.#client.off('error', this.#onError);
    this.#client.release();
  }

  /** Closes the connection; the server then rolls back what was not committed. */
  giveUp(): void {
    if (this.#state === 'gone') return;
    this.#state = 'gone';
    if (this.#unanswered > 0) cancel(this.#client);
    this.#client.release(true);
  }

  /** Whether a statement of it is unanswered. */
  get isBusy(): boolean {
    return this.#unanswered > 0;
  }

  readonly #onError = (error: Error): void => {
    // A connection that breaks between two statements tells it here; the next statement fails.
    this.#failure ??= error;
  };
}

/** pg has it since 8.12, and its types do not. */
const extended = { queryMode: 'extended' } as const;

/**
 * Asks the server, on a connection of its own, to cancel what another one runs (protocol 3.0, CancelRequest). It is never answered, and
 * may come to nothing; then `client_connection_check_interval` ends the statement.
 */
function cancel(client: PoolClient): void {
  const { host, port, processID, secretKey } = client as unknown as Backend;
  if (typeof processID !== 'number' || typeof secretKey !== 'number') return;
  const request = Buffer.alloc(16);
  request.writeInt32BE(request.length, 0);
  request.writeInt32BE(80_877_102, 4);
  request.writeInt32BE(processID, 8);
  request.writeInt32BE(secretKey, 12);
  const socket = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host);
  socket.on('error', () => undefined);
  socket.end(request);
}

/** What pg keeps of the server's greeting, and does not declare. */
interface Backend {
  readonly host: string;
  readonly port: number;
  readonly processID: number | null;
  readonly secretKey: number | null;
}
