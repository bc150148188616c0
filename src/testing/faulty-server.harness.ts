import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly key: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** What the server does with a request that it has read whole. */
export type Reaction = (response: ServerResponse, received: Received) => void;

/** A real HTTP server that treats the n-th request by the n-th reaction, and all further ones by the last. */
export class FaultyServer {
  readonly received: Received[] = [];
  readonly #server: Server;

  private constructor(reactions: readonly Reaction[]) {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const received = describe(request, Buffer.concat(chunks).toString());
        const react = reactions[this.received.length] ?? reactions.at(-1);
        this.received.push(received);
        react?.(response, received);
      });
    });
  }

  static async start(...reactions: readonly Reaction[]): Promise<FaultyServer> {
    const server = new FaultyServer(reactions);
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  stop(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

function describe({ method = '', url = '', headers }: IncomingMessage, body: string): Received {
  const key = headers['idempotency-key'];
  return { method, path: url, key: Array.isArray(key) ? key.join() : key, headers, body };
}

export function answer(status: number, headers: Readonly<Record<string, string>> = {}, body = ''): Reaction {
  return (response) => void response.writeHead(status, headers).end(body);
}

export function problem(status: number, type: string, headers: Readonly<Record<string, string>> = {}): Reaction {
  const document = { type: `https://semel.dev/problems/${type}`, status };
  return answer(status, { 'content-type': 'application/problem+json', ...headers }, JSON.stringify(document));
}

/** The connection breaks before there is any answer. */
export const reset: Reaction = (response) => void response.socket?.resetAndDestroy();

/** The connection breaks when half of the answer is through. */
export const resetHalfway: Reaction = (response) => {
  response.writeHead(200, { 'content-length': '100' });
  response.write('half', () => response.socket?.resetAndDestroy());
};

/** No answer, ever. */
export const hang: Reaction = () => undefined;

/** As a proxy before `origin`: the request goes on, and its answer comes back. */
export function forward(origin: string): Reaction {
  return (response, received) => void relay(origin, response, received, 'whole');
}

/** As a proxy that fails: the request goes on and is answered, and the answer is lost on the way back, or half of it. */
export function loseAnswer(origin: string, half: 'lost' | 'half' = 'lost'): Reaction {
  return (response, received) => void relay(origin, response, received, half);
}

async function relay(
  origin: string,
  response: ServerResponse,
  { method, path, headers, body }: Received,
  part: 'whole' | 'half' | 'lost',
): Promise<void> {
  const sent = new Headers();
  for (const name of ['idempotency-key', 'content-type', 'authorization']) {
    const value = headers[name];
    if (typeof value === 'string') sent.set(name, value);
  }
  const answered = await fetch(origin + path, { method, headers: sent, ...(body === '' ? {} : { body }) });
  const bytes = Buffer.from(await answered.arrayBuffer());
  if (part === 'lost') return void response.socket?.resetAndDestroy();
  const ownHeaders = [...answered.headers].filter(([name]) => !['connection', 'keep-alive'].includes(name));
  response.writeHead(answered.status, Object.fromEntries(ownHeaders));
  if (part === 'whole') return void response.end(bytes);
  response.write(bytes.subarray(0, bytes.length / 2), () => response.socket?.resetAndDestroy());
}
