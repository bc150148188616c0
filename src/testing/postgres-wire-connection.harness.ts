import { connect, type Socket } from 'node:net';
import { MessageReader, readBind, readParse, readQuery, type PostgresMessage } from './postgres-messages.harness.ts';

export interface WireStatement {
  readonly text: string;
  /** How many values were bound to it. */
  readonly parameterCount: number;
}

/** Where the connection breaks of which `match` holds for a statement. Each strikes once. */
export interface WireFault {
  readonly where: 'before' | 'midway' | 'after';
  readonly match: (statement: WireStatement) => boolean;
  /** Called when it has struck, and the server has ended its session. */
  readonly done: () => void;
}

/** What a connection needs of the wire that it is part of. */
interface Surroundings {
  readonly server: { readonly host: string; readonly port: number };
  /** Takes a statement down, and answers the fault that strikes it. */
  note(statement: WireStatement): WireFault | undefined;
}

/**
 * One client, and the server's session for it.
 *
 * *Start.* Until the server's first ReadyForQuery everything passes at once and nothing is counted, so that a pool may
 * connect when it likes.
 *
 * *Turns.* From then on the client's messages are forwarded a request at a time, which is up to a Sync, a Flush, or a
 * simple Query. A request opens a turn unless one is open, and that is one round trip. The server's messages are held
 * as long as a turn is open, and are passed on together, which closes it, when the server has answered all that was
 * forwarded and the client is quiet: a whole turn of the event loop, in which all sockets are read, has brought nothing
 * of it and left no request half sent. So requests that the client sends before it has any answer are one round trip,
 * however fast the server answers the first. A client in this process that sends them without going back to the event
 * loop is always seen to: its bytes are there before the server has had the first of them. (How a client in another
 * process counts that dawdles between two requests remains a matter of speed.) What it sends after it has an answer is
 * another round trip, since all are answered by then.
 *
 * The price: a client that pipelines two requests has no answer to the first as long as the second waits, for a lock say.
 *
 * *Faults.* One that strikes before or after a statement takes nothing more from the client, waits until the server has
 * answered all that was forwarded, drops what is held, resets the client's connection, and ends the server's in good
 * order. One that strikes midway does not wait. The server reads the end of a connection when it has done what came
 * before: midway is for the client not to know, not for the server to fail.
 */
export class WireConnection {
  roundTrips = 0;
  /** Resolves when the server has ended the session. It leaves the socket to its kernel, so the process and its locks are gone. */
  readonly ended: Promise<void>;

  #statements: WireStatement[] = [];
  readonly #surroundings: Surroundings;
  readonly #client: Socket;
  readonly #server: Socket;
  readonly #clientMessages = new MessageReader('client');
  readonly #serverMessages = new MessageReader('server');
  readonly #textByName = new Map<string, string>();
  #isStarted = false;
  #isPaused = false;
  /** Whether the client has been told of its end, or cut off. */
  #isOver = false;
  #fault: WireFault | undefined;
  /** What came of a request whose end has not come. */
  #request: PostgresMessage[] = [];
  /** Of each forwarded message that has no answer yet: the types that answer it. */
  readonly #awaited: string[] = [];
  #isInTurn = false;
  #held: Buffer[] = [];
  /** Counts the pieces that came from the client. */
  #pieces = 0;

  constructor(client: Socket, surroundings: Surroundings) {
    this.#surroundings = surroundings;
    this.#client = client;
    this.#server = connect({ ...surroundings.server, noDelay: true });
    client.on('data', (piece) => this.#readClient(Buffer.from(piece)));
    client.on('close', () => this.#passOnEnds());
    this.#server.on('data', (piece) => this.#readServer(Buffer.from(piece)));
    // What is wrong with a connection shows in its end.
    for (const socket of [client, this.#server]) socket.on('error', () => undefined);
    this.ended = new Promise((resolve) => {
      this.#server.once('close', () => {
        this.#passOnEnds();
        resolve();
      });
    });
  }

  get statements(): readonly WireStatement[] {
    return this.#statements;
  }

  /** Forgets what was counted and written down. */
  mark(): void {
    this.roundTrips = 0;
    this.#statements = [];
  }

  /** Nothing passes any more, not even that a side has gone, and nothing is closed: to each the other's host has vanished. */
  pause(): void {
    this.#isPaused = true;
    for (const socket of [this.#client, this.#server]) socket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    for (const socket of [this.#client, this.#server]) socket.resume();
    this.#releaseWhenQuiet();
    this.#passOnEnds();
  }

  destroy(): void {
    this.#isOver = true;
    for (const socket of [this.#client, this.#server]) socket.destroy();
  }

  #readClient(piece: Buffer): void {
    this.#pieces++;
    for (const message of this.#clientMessages.read(piece)) {
      if (this.#isOver || this.#fault !== undefined) return;
      if (message.type === 'ssl' || message.type === 'gss') this.#client.write('N');
      else if (this.#isStarted) this.#takeMessage(message);
      else this.#server.write(message.bytes);
    }
    this.#releaseWhenQuiet();
  }

  #takeMessage(message: PostgresMessage): void {
    if (!'PBDECSQHX'.includes(message.type)) throw new Error(`the wire does not understand a client's ${message.type}`);
    this.#request.push(message);
    if (!'SQHX'.includes(message.type)) return;
    const request = this.#request;
    this.#request = [];
    this.#takeRequest(request);
  }

  #takeRequest(request: readonly PostgresMessage[]): void {
    const statements = request.flatMap((message) => this.#statementOf(message) ?? []);
    const awaited = request.flatMap(({ type }) => answers[type] ?? []);
    if (awaited.length > 0 && !this.#isInTurn) {
      this.#isInTurn = true;
      this.roundTrips++;
    }
    this.#statements.push(...statements);
    this.#fault = statements
      .map((statement) => this.#surroundings.note(statement))
      .find((fault) => fault !== undefined);
    if (this.#fault?.where !== 'before') {
      this.#awaited.push(...awaited);
      this.#server.write(Buffer.concat(request.map(({ bytes }) => bytes)));
    }
    if (this.#fault?.where === 'midway' || this.#awaited.length === 0) this.#strike();
  }

  #statementOf({ type, body }: PostgresMessage): WireStatement | undefined {
    if (type === 'Q') return { text: readQuery(body), parameterCount: 0 };
    if (type === 'P') {
      const { name, text } = readParse(body);
      this.#textByName.set(name, text);
    }
    if (type !== 'B') return undefined;
    const { name, parameterCount } = readBind(body);
    return { text: this.#textByName.get(name) ?? '', parameterCount };
  }

  #readServer(piece: Buffer): void {
    if (this.#isOver) return;
    for (const message of this.#serverMessages.read(piece)) {
      if ('GHW'.includes(message.type)) throw new Error('the wire does not understand COPY');
      this.#settle(message.type);
      if (this.#isInTurn) this.#held.push(message.bytes);
      else this.#client.write(message.bytes);
      if (message.type === 'Z') this.#isStarted = true;
    }
    if (this.#awaited.length === 0) this.#strike();
    this.#releaseWhenQuiet();
  }

  /** Takes out of what is awaited what a message of the server answers. */
  #settle(type: string): void {
    const sync = this.#awaited.indexOf('Z');
    if (type === 'Z') this.#awaited.splice(0, sync + 1);
    // After an error the server skips what came before the next Sync.
    else if (type === 'E') this.#awaited.splice(0, sync === -1 ? this.#awaited.length : sync);
    else if (this.#awaited[0]?.includes(type) === true) this.#awaited.shift();
  }

  #releaseWhenQuiet(): void {
    const pieces = this.#pieces;
    const isQuiet = (): boolean =>
      this.#isInTurn &&
      !this.#isOver &&
      !this.#isPaused &&
      this.#fault === undefined &&
      this.#awaited.length === 0 &&
      this.#request.length === 0 &&
      this.#clientMessages.isBetweenMessages &&
      this.#pieces === pieces;
    if (!isQuiet()) return;
    // The first is still of this turn of the event loop; between it and the second, every socket is read.
    setImmediate(() =>
      setImmediate(() => {
        if (isQuiet()) this.#release();
      }),
    );
  }

  #release(): void {
    const held = Buffer.concat(this.#held);
    this.#held = [];
    this.#isInTurn = false;
    this.#client.write(held);
  }

  #strike(): void {
    const fault = this.#fault;
    if (fault === undefined || this.#isOver) return;
    this.#isOver = true;
    this.#client.resetAndDestroy();
    this.#server.end();
    void this.ended.then(fault.done);
  }

  #passOnEnds(): void {
    if (this.#isPaused) return;
    if (this.#client.closed) this.#server.end();
    if (!this.#server.closed) return;
    this.#strike();
    if (this.#isOver) return;
    this.#isOver = true;
    // With its last words, such as that it shuts down.
    this.#client.end(Buffer.concat(this.#held));
  }
}

/** What answers a message of the client, in the letters of the server's. */
const answers: Readonly<Record<string, string>> = { P: '1', B: '2', D: 'Tn', E: 'CIs', C: '3', S: 'Z', Q: 'Z' };
