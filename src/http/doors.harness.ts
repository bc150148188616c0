import { once as event } from 'node:events';
import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders, type Server } from 'node:http';
import type { Transaction } from 'semel';
import { openStore, type EmbeddedStore } from 'semel/embedded';
import type { Handler, RouteOptions } from 'semel/http';
import { afterEach, beforeEach } from 'vitest';
import { ManualWorld } from '../testing/manual-world.ts';
import type { Door, DoorContext, DoorRoute, DoorSetup, OpenDoor } from './door.harness.ts';
import { expressDoor } from './express.harness.ts';
import { fastifyDoor } from './fastify.harness.ts';
import { honoDoor } from './hono.harness.ts';
import { webDoor } from './web.harness.ts';

export const doors: readonly Door[] = [webDoor, fastifyDoor, expressDoor, honoDoor];

export interface Sent {
  readonly method?: string;
  readonly path?: string;
  /** `null`: none. Default `k`. */
  readonly key?: string | null;
  readonly body?: NonNullable<RequestInit['body']>;
  /** Beside JSON's media type, or in its place; `''`: without the field. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface Received {
  readonly status: number;
  readonly headers: Headers;
  readonly outcome: string | null;
  readonly bytes: Buffer;
  readonly text: string;
}

/** A door, a store and a clock for each test of a suite; to be called in its `describe`. */
export class DoorUnderTest {
  readonly #door: Door;
  #open: OpenDoor | undefined;
  world = new ManualWorld();
  #store: EmbeddedStore | undefined;

  constructor(door: Door) {
    this.#door = door;
    beforeEach(async () => {
      this.world = new ManualWorld();
      this.#store = await openStore({ world: this.world });
    });
    afterEach(async () => {
      await this.#open?.close();
      this.#open = undefined;
      await this.#store?.close();
    });
  }

  get store(): EmbeddedStore {
    if (this.#store === undefined) throw new Error('the store is open within a test');
    return this.#store;
  }

  get server(): Server {
    if (this.#open === undefined) throw new Error('the door is open after serve()');
    return this.#open.server;
  }

  get port(): number {
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('the door listens on a port');
    return address.port;
  }

  async serve(routes: readonly DoorRoute[], setup: Partial<DoorSetup> = {}): Promise<void> {
    const { around = [], options } = setup;
    this.#open = await this.#door.open(this.store, routes, { around, options: { world: this.world, ...options } });
  }

  async send(sent: Sent = {}): Promise<Received> {
    const { method = 'POST', path = '/', key = 'k', body = '{"amount":5}', headers = {}, signal } = sent;
    const keyed = key === null ? {} : { 'idempotency-key': key };
    const response = await fetch(`http://127.0.0.1:${this.port}${path}`, {
      method,
      headers: Object.entries({ 'content-type': 'application/json', ...keyed, ...headers }).filter(isGiven),
      duplex: 'half',
      ...(method === 'GET' || method === 'HEAD' || method === 'OPTIONS' ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    const outcome = response.headers.get('idempotency-outcome');
    return { status: response.status, headers: response.headers, outcome, bytes, text: bytes.toString() };
  }

  /** For requests that fetch would not send as they are. */
  async sendPlainly(path: string, headers: OutgoingHttpHeaders): Promise<{ response: IncomingMessage; text: string }> {
    const request = httpRequest({ host: '127.0.0.1', port: this.port, path, method: 'POST', headers });
    request.end();
    const [response] = (await event(request, 'response')) as [IncomingMessage];
    return { response, text: Buffer.concat(await Array.fromAsync(response)).toString() };
  }

  count(): Promise<unknown> {
    return this.store.read((tx) => tx.get(['count']));
  }
}

export function post(handler: Handler<Transaction, DoorContext>, options: RouteOptions<DoorContext> = {}): DoorRoute {
  return { method: 'POST', path: '/', handler, options };
}

/** Counts its executions in the store, and answers. */
export function counting(answer: (request: Request) => Response | Promise<Response>): DoorRoute['handler'] {
  return async (request, tx) => {
    await tx.add(['count'], 1);
    return answer(request);
  };
}

function isGiven([, value]: [name: string, value: string]): boolean {
  return value !== '';
}
