import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { pause, within, type Environment } from '../client/environment.ts';
import { answerBytesMax } from './limits.ts';

/** A request, down to its header fields. */
export interface Message {
  readonly url: URL;
  readonly method: string;
  /** `Host`, `Connection` and `Content-Length` are written here. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

export interface Answer {
  readonly status: number;
  /** Names in lower case, in the order in which they came. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
}

export type Exchange =
  | { readonly outcome: 'answered'; readonly answer: Answer }
  | { readonly outcome: 'unanswered'; readonly reason: string };

export interface WireOptions {
  readonly environment: Environment;
  readonly answerMsMax: number;
  readonly signal: AbortSignal;
}

/** A connection that is open, and carries one request. */
export interface Connection {
  /** Sends the request whole and reads its answer. Rejects only with the reason of the caller's signal. */
  exchange(message: Message): Promise<Exchange>;
  /**
   * Sends the first `bytes` of the request, then breaks the connection: by a reset, or as a client that goes away quietly.
   * Resolves when the kernel has them all.
   */
  sendPart(message: Message, bytes: number, end: 'reset' | 'close'): Promise<void>;
  /** Sends all of it, and breaks the connection so many milliseconds later, or when the answer begins. */
  hangUp(message: Message, gone: 'answer-begins' | number, end: 'reset' | 'close'): Promise<void>;
}

/** @throws where there is no connection, or the caller's signal fires */
export async function connect(url: URL, { environment, answerMsMax, signal }: WireOptions): Promise<Connection> {
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const isTls = url.protocol === 'https:';
  const tcp = connectTcp({ host, port: Number(url.port || (isTls ? 443 : 80)), noDelay: true });
  const socket = isTls
    ? connectTls({ socket: tcp, ALPNProtocols: ['http/1.1'], ...(isIP(host) === 0 ? { servername: host } : {}) })
    : tcp;
  // Whoever waits for something of it learns of the failure there; a failure after that is of no interest.
  socket.on('error', () => undefined);
  // What is under TLS fails with it, and TLS with what is under it.
  if (socket !== tcp) tcp.on('error', (error) => socket.destroy(error));
  // Whoever interrupts the run shall not wait for connections that nobody reads any more.
  const onAbort = (): void => void tcp.destroy();
  signal.addEventListener('abort', onAbort, { once: true });
  tcp.once('close', () => signal.removeEventListener('abort', onAbort));
  const bounded = <Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> =>
    within(environment, answerMsMax, signal, work);
  try {
    await bounded(() => once(socket, isTls ? 'secureConnect' : 'connect'));
  } catch (error) {
    tcp.destroy();
    throw error;
  }
  const breakOff = (end: 'reset' | 'close'): void => void (end === 'reset' ? tcp.resetAndDestroy() : socket.destroy());
  const write = (bytes: Buffer): Promise<void> =>
    bounded(() => new Promise((resolve) => socket.write(bytes, () => resolve())));
  return {
    async exchange(message) {
      try {
        return { outcome: 'answered', answer: await bounded(() => exchangeOn(socket, message)) };
      } catch (error) {
        signal.throwIfAborted();
        return { outcome: 'unanswered', reason: reasonOf(error) };
      } finally {
        tcp.destroy();
      }
    },
    async sendPart(message, bytes, end) {
      await write(bytesOf(message).subarray(0, bytes));
      breakOff(end);
    },
    async hangUp(message, gone, end) {
      const began = new Promise<void>((resolve) => socket.once('data', () => resolve()).once('close', () => resolve()));
      await write(bytesOf(message));
      await bounded((ended) => (gone === 'answer-begins' ? began : pause(environment, gone, ended))).catch(() =>
        signal.throwIfAborted(),
      );
      breakOff(end);
    },
  };
}

/** The whole request as it goes over the wire. */
export function bytesOf(message: Message): Buffer {
  const { pathname, search } = message.url;
  const lines = [`${message.method} ${pathname}${search} HTTP/1.1`];
  for (const [name, value] of fieldsOf(message)) lines.push(`${name}: ${value}`);
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), message.body]);
}

function fieldsOf({ url, method, headers, body }: Message): readonly (readonly [string, string])[] {
  // RFC 9110, section 8.6: a request of a method that anticipates content says that it has none.
  const hasLength = body.length > 0 || !['GET', 'HEAD', 'DELETE', 'OPTIONS'].includes(method);
  return [
    ['Host', url.host],
    ...headers,
    ...(hasLength ? [['Content-Length', String(body.length)] as const] : []),
    ['Connection', 'close'],
  ];
}

async function exchangeOn(socket: Socket, message: Message): Promise<Answer> {
  const { url, method, body } = message;
  const outgoing = httpRequest({
    createConnection: () => socket,
    method,
    path: url.pathname + url.search,
    headers: fieldsOf(message).flat(),
  });
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.on('response', resolve).on('error', reject);
  });
  outgoing.end(body);
  const incoming = await answered;
  const pieces: Buffer[] = [];
  let length = 0;
  try {
    for await (const piece of incoming) {
      const bytes = piece as Buffer;
      length += bytes.length;
      if (length > answerBytesMax) break;
      pieces.push(bytes);
    }
  } catch (cause) {
    throw new Error('its answer broke off, or its body is malformed', { cause });
  }
  if (length > answerBytesMax) throw new Error(`the answer has more than ${answerBytesMax} bytes`);
  const { rawHeaders, statusCode = 0 } = incoming;
  const headers: [string, string][] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    headers.push([(rawHeaders[at] ?? '').toLowerCase(), rawHeaders[at + 1] ?? '']);
  }
  return { status: statusCode, headers, body: Buffer.concat(pieces) };
}

/** A refused connection of a name with several addresses is an AggregateError without words of its own; OpenSSL's have several lines. */
export function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return [...new Set(error.errors.map(reasonOf))].join(', ');
  const words = error instanceof Error ? error.message : String(error);
  return words.replaceAll(/\s+/g, ' ').trim();
}
