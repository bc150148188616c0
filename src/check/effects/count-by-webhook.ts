import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { CannotRunError, InvalidInputError } from '../check-error.ts';
import type { Effect } from './effect.ts';
import { reasonOf } from '../wire.ts';

/** A server that the endpoint calls each time it acts. Whoever makes it closes it when the run is over. */
export interface WebhookCounter extends Effect {
  /** Where it is to be called, on any path and by any method. */
  readonly url: string;
  close(): Promise<void>;
}

export interface WebhookOptions {
  /** 127.0.0.1 by default. */
  readonly host?: string | undefined;
  /** Any that is free by default. */
  readonly port?: number | undefined;
  /**
   * The field that names a delivery, as `webhook-id` of Standard Webhooks does. Senders that get no answer in time deliver again, and
   * deliveries of one name are counted once. It must be made anew each time the endpoint acts: a name that is made of the key would
   * hide that it acted twice.
   */
  readonly idHeader?: string | undefined;
}

/** Bodies are read and dropped; whoever sends more than this does not tell of an effect. */
const deliveryBytesMax = 16 * 2 ** 20;

/** Far more than a run causes; each id is held until its end. */
const deliveriesMax = 1_000_000;

/**
 * Counts the requests that arrive whole, and answers each by 204.
 *
 * @throws InvalidInputError where it cannot listen
 */
export async function countByWebhook({
  host = '127.0.0.1',
  port = 0,
  idHeader,
}: WebhookOptions = {}): Promise<WebhookCounter> {
  const ids = new Set<string>();
  let fault: string | undefined;
  const deliver = ({ headers }: IncomingMessage): void => {
    const id = idHeader === undefined ? String(ids.size) : headers[idHeader.toLowerCase()];
    if (id === undefined) fault ??= `a delivery came without ${idHeader}`;
    else if (ids.size === deliveriesMax) fault ??= `more than ${deliveriesMax} deliveries came`;
    else ids.add(String(id));
  };
  const receive = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    try {
      let bytes = 0;
      for await (const piece of incoming) {
        bytes += (piece as Buffer).length;
        if (bytes > deliveryBytesMax) {
          fault ??= `a delivery has more than ${deliveryBytesMax} bytes`;
          return void outgoing.writeHead(413, { connection: 'close' }).end();
        }
      }
    } catch {
      // It was cut off. Its sender got no answer, and delivers it again.
      return;
    }
    // Counted before it is answered, so that no sender has gone on while its delivery is not seen.
    deliver(incoming);
    outgoing.writeHead(204).end();
  };
  const server = createServer((incoming, outgoing) => void receive(incoming, outgoing));
  try {
    await once(server.listen(port, host), 'listening');
  } catch (error) {
    throw new InvalidInputError(`nobody can be listened to at ${host}:${port}: ${reasonOf(error)}`);
  }
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${(server.address() as AddressInfo).port}/`,
    async count() {
      if (fault !== undefined) throw new CannotRunError(`the count by webhook cannot be read: ${fault}`);
      return ids.size;
    },
    async close() {
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}
