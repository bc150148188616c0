import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import {
  MessageReader,
  readBind,
  readParse,
  readQuery,
  type PostgresMessage,
} from '../../../src/testing/postgres-messages.harness.ts';
import type { Place } from './kill-class.ts';

/** An order to strike, once, the n-th time that such a statement comes by. */
export interface WireOrder {
  readonly place: Place;
  /** A COMMIT counts where its transaction writes. */
  readonly what: 'statement' | 'commit';
  readonly hit: number;
  /** Kills somebody. What the service would hear of its COMMIT meanwhile, it never hears. */
  readonly act: (struck: StruckStatement) => Promise<void>;
}

export interface StruckStatement {
  /** PostgreSQL's number for the session that it came on. */
  readonly backendPid: number;
  /** What its transaction writes, as the service has sent it. */
  readonly writes: Buffer;
  /** Whether the server has answered that it committed. */
  readonly hasCommitted: boolean;
}

/** Stands between one service and PostgreSQL, and passes everything on as it comes, but for what it is ordered to strike. */
export class StrikingWire {
  readonly url: string;
  readonly #close: () => void;
  #order: WireOrder | undefined;
  #passed = 0;

  private constructor(url: string, close: () => void) {
    this.url = url;
    this.#close = close;
  }

  static async listen(serverUrl: string): Promise<StrikingWire> {
    const url = new URL(serverUrl);
    const target = { host: url.hostname, port: Number(url.port), noDelay: true };
    const sockets = new Set<Socket>();
    const listener = createServer({ noDelay: true }, (client) => {
      const server = connect(target);
      for (const socket of [client, server]) {
        sockets.add(socket);
        // What is wrong with one end shows in its close, which closes the other one.
        socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
      }
      passOn(client, server, (kind) => wire.#strikes(kind));
    });
    await once(listener.listen(0, '127.0.0.1'), 'listening');
    url.host = `127.0.0.1:${(listener.address() as AddressInfo).port}`;
    const wire: StrikingWire = new StrikingWire(url.href, () => {
      listener.close();
      for (const socket of sockets) socket.destroy();
    });
    return wire;
  }

  arm(order: WireOrder): void {
    this.#order = order;
    this.#passed = 0;
  }

  /** Whether it had still to strike. */
  disarm(): boolean {
    const wasArmed = this.#order !== undefined;
    this.#order = undefined;
    return wasArmed;
  }

  close(): void {
    this.#close();
  }

  #strikes(kind: Kind): WireOrder | undefined {
    const order = this.#order;
    if (order === undefined || kind !== order.what) return undefined;
    this.#passed += 1;
    if (this.#passed < order.hit) return undefined;
    this.#order = undefined;
    return order;
  }
}

type Kind = 'statement' | 'commit' | 'other';

/**
 * One connection of the service, and PostgreSQL's session for it.
 *
 * *Passing* everything on. → *striking*, at the statement of an order: `before` keeps it, and what comes after it, until the victim is
 * dead; `amid` sends it and kills; `after` sends it, waits for its answer and kills. The server's answers are kept meanwhile. → *struck*:
 * the answer to a COMMIT is dropped, and the connection with it; any other is passed on, and so is what the server has to say of its end.
 */
function passOn(client: Socket, server: Socket, strikes: (kind: Kind) => WireOrder | undefined): void {
  const fromClient = new MessageReader('client');
  const fromServer = new MessageReader('server');
  const texts = new Map<string, string>();
  let backendPid = 0;
  let writes: Buffer[] = [];
  /** ReadyForQuery: as many were asked for, as many come; and one more at the beginning, for which nobody asked. */
  const turns = { asked: 0, answered: -1 };
  /** What waits for a strike to end. */
  let kept: Kept | undefined;

  const strike = async (order: WireOrder): Promise<void> => {
    const hasCommitted =
      kept?.toClient.some(({ type, body }) => type === 'C' && body.toString() === 'COMMIT\0') ?? false;
    await order.act({ backendPid, writes: Buffer.concat(writes), hasCommitted });
    const { toServer, toClient } = kept ?? nothingKept();
    kept = undefined;
    if (order.what === 'commit' && order.place !== 'before') {
      client.destroy();
      server.destroy();
      return;
    }
    for (const { bytes } of toClient) client.write(bytes);
    for (const { bytes } of toServer) server.write(bytes);
    if (server.closed) client.end();
  };

  const textOf = ({ type, body }: PostgresMessage): string | undefined => {
    if (type === 'Q') return readQuery(body);
    if (type === 'P') {
      const { name, text } = readParse(body);
      texts.set(name, text);
    }
    return type === 'B' ? texts.get(readBind(body).name) : undefined;
  };

  const kindOf = (text: string): Kind => {
    if (text === 'COMMIT') return writes.length > 0 ? 'commit' : 'other';
    return text === 'ROLLBACK' ? 'other' : 'statement';
  };

  const take = (message: PostgresMessage): void => {
    if (kept !== undefined && turns.asked >= kept.afterTurn) {
      kept.toServer.push(message);
      return;
    }
    const text = textOf(message);
    const isSimple = message.type === 'Q';
    if (text !== undefined && /^(?:INSERT|DELETE)/.test(text)) writes.push(message.bytes);
    const order = text === undefined || kept !== undefined ? undefined : strikes(kindOf(text));
    if (order?.place === 'before') {
      kept = { ...nothingKept(), toServer: [message] };
      void strike(order);
      return;
    }
    server.write(message.bytes);
    // What is bound is answered with the Sync behind it, a simple query by itself.
    if (isSimple || message.type === 'S') turns.asked += 1;
    if (order !== undefined) {
      const afterTurn = order.place === 'amid' ? 0 : turns.asked + (isSimple ? 0 : 1);
      kept = { ...nothingKept(), afterTurn, onTurn: order.place === 'amid' ? undefined : () => void strike(order) };
      if (order.place === 'amid') void strike(order);
    }
    if ((text === 'COMMIT' || text === 'ROLLBACK') && order === undefined) writes = [];
  };

  client.on('data', (piece) => {
    for (const message of fromClient.read(Buffer.from(piece))) take(message);
  });
  server.on('data', (piece) => {
    for (const message of fromServer.read(Buffer.from(piece))) {
      if (message.type === 'K') backendPid = message.body.readInt32BE(0);
      if (kept === undefined) client.write(message.bytes);
      else kept.toClient.push(message);
      if (message.type !== 'Z') continue;
      turns.answered += 1;
      if (kept?.onTurn === undefined || turns.answered < kept.afterTurn) continue;
      const { onTurn } = kept;
      kept.onTurn = undefined;
      onTurn();
    }
  });
  client.on('close', () => server.destroy());
  server.on('close', () => {
    if (kept === undefined) client.end();
    // The answer that is waited for will not come.
    kept?.onTurn?.();
  });
}

interface Kept {
  readonly toServer: PostgresMessage[];
  readonly toClient: PostgresMessage[];
  /** Until so many turns have been asked for, the client's messages are still sent: they belong to the statement that is struck. */
  readonly afterTurn: number;
  /** Called when that turn is answered. */
  onTurn: (() => void) | undefined;
}

function nothingKept(): Kept {
  return { toServer: [], toClient: [], afterTurn: 0, onTurn: undefined };
}
