import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

export interface Cut {
  /** Which response, counted over all connections. */
  readonly response: number;
  /** Which part of its bytes is let through, at least one byte, never all of them. */
  readonly part: number;
  /** Called once, when that part is on its way. Until its promise is settled the connection stays open. */
  readonly strike: () => Promise<void>;
}

/**
 * Stands between the clients and the service and passes everything on, but for one response, of which it passes on a part alone.
 * Responses are counted and passed on whole, so it waits for the end of each; nobody can tell.
 */
export class CuttingProxy {
  readonly port: number;
  readonly #close: () => void;

  private constructor(port: number, close: () => void) {
    this.port = port;
    this.#close = close;
  }

  static async listen(servicePort: number, cut: Cut): Promise<CuttingProxy> {
    const sockets = new Set<Socket>();
    let responses = 0;
    const server = createServer((client) => {
      const upstream = connect(servicePort, '127.0.0.1');
      for (const socket of [client, upstream]) {
        sockets.add(socket);
        socket.setNoDelay(true).on('close', () => sockets.delete(socket));
        // Each end's failure shows as its close, which ends the other one.
        socket.on('error', () => undefined);
      }
      let pending: Buffer = Buffer.alloc(0);
      let isCut = false;
      client.on('data', (bytes) => upstream.write(bytes)).on('close', () => upstream.destroy());
      upstream.on('close', () => {
        if (!isCut) client.end();
      });
      upstream.on('data', (bytes) => {
        pending = Buffer.concat([pending, bytes]);
        for (let end = responseEnd(pending); end !== undefined && !isCut; end = responseEnd(pending)) {
          const response = pending.subarray(0, end);
          pending = pending.subarray(end);
          responses += 1;
          if (responses !== cut.response) {
            client.write(response);
            continue;
          }
          isCut = true;
          const bytes = Math.min(response.length - 1, Math.max(1, Math.round(response.length * cut.part)));
          client.write(response.subarray(0, bytes), () => {
            void cut.strike().finally(() => client.end());
          });
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new CuttingProxy(portOf(server.address()), () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
  }

  close(): void {
    this.#close();
  }
}

/** Where the first response in these bytes ends; `undefined` if it is not all there. */
function responseEnd(bytes: Buffer): number | undefined {
  const headEnd = bytes.indexOf('\r\n\r\n');
  if (headEnd === -1) return undefined;
  const head = bytes.toString('latin1', 0, headEnd);
  if (/^transfer-encoding:/im.test(head)) throw new Error('this proxy knows only responses that tell their length');
  const length = Number(/^content-length: *([0-9]+)/im.exec(head)?.[1] ?? 0);
  const end = headEnd + 4 + length;
  return end <= bytes.length ? end : undefined;
}

function portOf(address: AddressInfo | string | null): number {
  if (typeof address !== 'object' || address === null)
    throw new Error('assertion failed: a listening server has a port');
  return address.port;
}
