import { connect } from 'node:net';
import type { Pool, PoolClient, QueryConfig, QueryResult, QueryResultRow } from 'pg';
import { assert } from '../../kv/assert.ts';
import type { Answer, Beginning, Session, Sessions } from './session.ts';
import { failedTransaction, innermost, sqlStateOf } from './sql-state.ts';

/** Over a pool of `pg`. */
export class PooledSessions implements Sessions {
  readonly #pool: Pool;
  readonly #ownsPool: boolean;

  constructor(pool: Pool, ownsPool: boolean) {
    this.#pool = pool;
    this.#ownsPool = ownsPool;
  }

  /**
   * By callback, for the pool stops listening for a connection's errors when it hands it out. What a server that is killed says in one
   * piece with its being ready would meet nobody who listens, and end the process, before an awaited promise goes on.
   */
  open(): Promise<Session> {
    return new Promise((resolve, reject) => {
      this.#pool.connect((error, client) => {
        if (client === undefined) reject(error ?? new Error('the pool gave no connection'));
        else resolve(new PooledSession(client));
      });
    });
  }

  query(text: string, values: readonly unknown[]): Promise<Answer> {
    return this.#pool.query(text, [...values]);
  }

  unwrap(error: unknown): unknown {
    return innermost(error);
  }

  async close(): Promise<void> {
    if (this.#ownsPool) await this.#pool.end();
  }
}

/**
 * It has its connection from the start, and sends statements as soon as they are given, where the client pipelines. The connection goes
 * back to the pool after the end; one that broke, or was given up while a statement ran, is closed.
 */
class PooledSession implements Session {
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

  get failure(): unknown {
    return this.#failure;
  }

  forgetFailure(): void {
    this.#failure = undefined;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  async inOrder(): Promise<void> {
    if (!this.#client.pipeline) await this.#last.catch(() => undefined);
  }

  /** From there on only the server knows whether the transaction is still open. */
  handOut(): PoolClient {
    this.#handedOut = true;
    return this.#client;
  }

  get isEndedByOthers(): boolean {
    return this.#handedOut && this.#unanswered === 0 && this.#client.getTransactionStatus() === 'I';
  }

  look<Row extends QueryResultRow>(text: string, values: readonly unknown[]): Promise<Answer<Row>> {
    return this.query<Row>(text, values);
  }

  begin({ isolation, settings }: Beginning, ...first: string[]): Promise<unknown> {
    return this.query([`BEGIN ISOLATION LEVEL ${isolation}`, ...settings, ...first].join('; '));
  }

  statement<Row extends QueryResultRow>(text: string, values: readonly unknown[]): Promise<QueryResult<Row>> {
    return this.#tracked<Row>({ text, values: [...values], ...extended });
  }

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

  async commit(onSent: () => void): Promise<boolean> {
    const answer = this.#end('COMMIT');
    onSent();
    const { command } = await answer;
    return command === 'COMMIT';
  }

  #end(text: 'COMMIT' | 'ROLLBACK'): Promise<QueryResult> {
    assert(this.#state === 'open', 'a transaction ends once');
    this.#state = 'ending';
    return this.query(text);
  }

  rollback(): void {
    this.undo().then(
      () => this.giveBack(),
      () => this.giveUp(),
    );
  }

  async undo(): Promise<void> {
    if (this.#state === 'open') await this.#end('ROLLBACK');
  }

  giveBack(): void {
    if (this.#state === 'gone') return;
    this.#state = 'gone';
    this.#client.off('error', this.#onError);
    this.#client.release();
  }

  giveUp(): void {
    if (this.#state === 'gone') return;
    this.#state = 'gone';
    if (this.isBusy) cancel(this.#client);
    this.#client.release(true);
  }

  get isBusy(): boolean {
    return this.#unanswered > 0 || this.#handedOut;
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
