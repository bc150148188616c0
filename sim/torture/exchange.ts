import { Agent, request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
}

export interface Answer {
  readonly status: number;
  /** Names in lower case, in the order in which they came. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

/** What became of one request, as far as its sender can know. */
export type Exchange =
  | { readonly outcome: 'answered'; readonly answer: Answer }
  /** It was handed to the kernel whole, and no complete answer came back. */
  | { readonly outcome: 'cut'; readonly bytesReceived: number; readonly reason: string }
  | { readonly outcome: 'not-sent'; readonly reason: string };

/** The connections of all clients to one process of the service; each has one for itself while it waits for an answer. */
export class Connections {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: Infinity });
  readonly #port: number;

  constructor(port: number) {
    this.#port = port;
  }

  /** Never rejects. `onSent` is told when the request is with the kernel. */
  send(request: Request, onSent: () => void = () => undefined): Promise<Exchange> {
    return new Promise((resolve) => {
      let sent = false;
      let socket: Socket | undefined;
      let bytesBefore = 0;
      const fail = (error: Error): void => {
        const reason = error.message;
        if (!sent) resolve({ outcome: 'not-sent', reason });
        else resolve({ outcome: 'cut', bytesReceived: (socket?.bytesRead ?? 0) - bytesBefore, reason });
      };
      const outgoing = httpRequest(
        {
          host: '127.0.0.1',
          port: this.#port,
          agent: this.#agent,
          method: request.method,
          path: request.path,
          headers: headersOf(request),
          // No answer for so long is a failure of its own; it must not look like a hang of the tool.
          timeout: answerMsMax,
        },
        (incoming) => {
          readAnswer(incoming).then((answer) => resolve({ outcome: 'answered', answer }), fail);
        },
      );
      outgoing.on('socket', (given) => {
        socket = given;
        bytesBefore = given.bytesRead;
      });
      outgoing.on('finish', () => {
        sent = true;
        onSent();
      });
      outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer within ${answerMsMax} ms`)));
      outgoing.on('error', fail);
      outgoing.end(request.body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

const answerMsMax = 20_000;

function headersOf({ headers, body }: Request): Record<string, string | number> {
  if (body === undefined) return { ...headers };
  return { ...headers, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
}

async function readAnswer(incoming: IncomingMessage): Promise<Answer> {
  const pieces: Buffer[] = [];
  for await (const piece of incoming) {
    if (!(piece instanceof Buffer)) throw new TypeError('assertion failed: a response without encoding yields bytes');
    pieces.push(piece);
  }
  if (!incoming.complete) throw new Error('the connection ended within the response');
  const { rawHeaders, statusCode = 0 } = incoming;
  const headers: [string, string][] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    headers.push([(rawHeaders[at] ?? '').toLowerCase(), rawHeaders[at + 1] ?? '']);
  }
  return { status: statusCode, headers, body: Buffer.concat(pieces) };
}
