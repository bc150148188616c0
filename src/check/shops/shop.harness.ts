import { createHash, randomUUID } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { pause, realEnvironment } from '../../client/environment.ts';

/** A request to place an order, read whole. */
export interface Order {
  /** The values of the key's field, as they came. */
  readonly keys: readonly string[];
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  /** Who orders, as far as a small shop can tell. */
  readonly tenant: string;
  /** The header X-Fault: the shop breaks while it handles this order. */
  readonly fault: string | undefined;
  readonly body: string;
  readonly outgoing: ServerResponse;
}

export interface Result {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface Kept {
  readonly fingerprint: string;
  readonly body: string;
  result: Result | undefined;
  /** Resolves when there is a result. */
  readonly done: PromiseWithResolvers<Result>;
}

/** What a correct server may decide one way or another. */
export interface Choices {
  /** What a duplicate gets while the first request is handled. */
  readonly inFlight: 'wait' | 202 | 409 | 423 | 425;
  readonly mismatch: 400 | 409 | 422;
  readonly missing: 'refuse' | 'execute';
  /** Whether `"k"` is `k`, or another key, or none. */
  readonly quoted: 'same' | 'another' | 'refuse';
  readonly keyCharactersMax: number;
  readonly created: 200 | 201 | 202 | 204;
  /** Whether a key is one for all that a tenant asks for, or one for each method and path. */
  readonly keysAreOf: 'tenant' | 'operation';
  /** Whether an order that was refused keeps its key. */
  readonly refusal: 'kept' | 'forgotten';
}

export const plainChoices: Choices = {
  inFlight: 'wait',
  mismatch: 422,
  missing: 'refuse',
  quoted: 'same',
  keyCharactersMax: 255,
  created: 201,
  keysAreOf: 'tenant',
  refusal: 'kept',
};

/** A small shop that places each order once. A wrong one overrides one method. */
export class Shop {
  /** How often it acted: what the count counts. */
  orders = 0;
  readonly ordersOfTenant = new Map<string, number>();
  protected readonly choices: Choices;
  protected readonly kept = new Map<string, Kept>();

  constructor(choices: Partial<Choices> = {}) {
    this.choices = { ...plainChoices, ...choices };
  }

  async handle(order: Order): Promise<void> {
    const field = this.keyOf(order.keys);
    if (field === 'refused') return this.answer(order, problem(400, 'the key is none'));
    if (field === undefined) return this.handleWithoutKey(order);
    const key = `${this.scopeOf(order)} ${field}`;
    const kept = await this.find(key, order);
    if (kept === undefined) return this.answer(order, await this.execute(key, order));
    if (kept.fingerprint !== this.fingerprintOf(order)) return this.handleMismatch(key, kept, order);
    return this.handleDuplicate(key, kept, order);
  }

  /** When a request has begun to come; its body may not be there yet. */
  begin(_keys: readonly string[]): void {}

  /** 'refused' is what no key is called. */
  protected keyOf(keys: readonly string[]): string | undefined {
    if (keys.length === 0) return undefined;
    const [field = ''] = keys;
    if (keys.length > 1 || !/^[\x21-\x7e]+$/.test(field) || field.length > this.choices.keyCharactersMax)
      return 'refused';
    if (!/^".*"$/.test(field)) return /[",]/.test(field) ? 'refused' : field;
    const { quoted } = this.choices;
    if (quoted === 'refuse' || field === '""') return 'refused';
    return quoted === 'same' ? field.slice(1, -1) : field;
  }

  /** Within which a key is one. */
  protected scopeOf({ tenant, method, url }: Order): string {
    return this.choices.keysAreOf === 'tenant' ? tenant : `${tenant} ${method} ${url.replace(/\?.*/, '')}`;
  }

  protected fingerprintOf({ method, url, body }: Order): string {
    return createHash('sha256').update(`${method} ${url}\n${body}`).digest('hex');
  }

  /** What is kept under the key; the key is claimed where there is nothing. */
  protected async find(key: string, order: Order): Promise<Kept | undefined> {
    const kept = this.kept.get(key);
    if (kept === undefined) this.claim(key, order);
    return kept;
  }

  protected claim(key: string, order: Order): void {
    const kept = { fingerprint: this.fingerprintOf(order), body: order.body, result: undefined };
    // Who waits already waits for the result of whoever comes first, if two have claimed the key.
    this.kept.set(key, { ...kept, done: this.kept.get(key)?.done ?? Promise.withResolvers() });
  }

  protected async execute(key: string, order: Order): Promise<Result> {
    const result = await this.act(order);
    this.conclude(key, result);
    return result;
  }

  /** What failed by no fault of the order may be tried again. */
  protected conclude(key: string, result: Result): void {
    const isForgotten = result.status >= 500 || (result.status >= 400 && this.choices.refusal === 'forgotten');
    if (!isForgotten) return this.complete(key, result);
    this.kept.get(key)?.done.resolve(result);
    this.kept.delete(key);
  }

  protected complete(key: string, result: Result): void {
    const kept = this.kept.get(key);
    if (kept === undefined) return;
    kept.result = result;
    kept.done.resolve(result);
  }

  protected async act(order: Order): Promise<Result> {
    await latency();
    if (order.fault !== undefined) return problem(500, 'the shop is out of order');
    if (isForNothing(order)) return problem(402, 'an order is for one cup or more');
    this.place(order);
    const { created } = this.choices;
    const body = created === 204 ? '' : `{ "order": "${randomUUID()}", "number": ${this.orders} }`;
    return { status: created, headers: created === 204 ? {} : { 'content-type': 'application/json' }, body };
  }

  protected place({ tenant }: Order): void {
    this.orders += 1;
    this.ordersOfTenant.set(tenant, (this.ordersOfTenant.get(tenant) ?? 0) + 1);
  }

  protected async handleWithoutKey(order: Order): Promise<void> {
    if (this.choices.missing === 'refuse') return this.answer(order, problem(400, 'a key is needed'));
    return this.answer(order, await this.act(order));
  }

  protected async handleMismatch(_key: string, _kept: Kept, order: Order): Promise<void> {
    return this.answer(order, problem(this.choices.mismatch, 'the key belongs to another request'));
  }

  protected async handleDuplicate(_key: string, kept: Kept, order: Order): Promise<void> {
    const { inFlight } = this.choices;
    if (kept.result !== undefined) return this.replay(kept.result, order);
    if (inFlight === 'wait') return this.replay(await kept.done.promise, order);
    return this.answer(order, problem(inFlight, 'it is in progress', { 'retry-after': '0' }));
  }

  protected async replay(result: Result, order: Order): Promise<void> {
    const headers = { ...result.headers, 'idempotent-replayed': 'true', 'x-request-id': randomUUID() };
    return this.answer(order, { ...result, headers });
  }

  protected async answer({ outgoing }: Order, { status, headers, body }: Result): Promise<void> {
    outgoing.writeHead(status, headers).end(body);
  }
}

export function problem(status: number, title: string, headers: Readonly<Record<string, string>> = {}): Result {
  const type = { 'content-type': 'application/problem+json' };
  return {
    status,
    headers: { ...type, ...headers },
    body: JSON.stringify({ title, status, at: new Date(Date.now()) }),
  };
}

export function isForNothing({ body }: Order): boolean {
  return body.includes('"cups":0');
}

/** What a database takes, so that requests overlap as they do in the world. */
export function latency(): Promise<void> {
  return pause(realEnvironment, 2, new AbortController().signal);
}

export interface Served {
  readonly orders: string;
  readonly count: string;
}

/** Until the test is over. */
export async function serve(shop: Shop): Promise<Served> {
  const server = createServer((incoming, outgoing) => {
    const { method = '', url = '' } = incoming;
    const tenant = incoming.headers.authorization ?? '';
    const mine = shop.ordersOfTenant.get(tenant) ?? 0;
    if (method === 'GET') return void outgoing.end(JSON.stringify({ orders: shop.orders, mine }));
    const keys = incoming.headersDistinct['idempotency-key'] ?? [];
    shop.begin(keys);
    const fault = incoming.headersDistinct['x-fault']?.[0];
    const pieces: Buffer[] = [];
    incoming.on('data', (piece: Buffer) => pieces.push(piece));
    incoming.on('error', () => undefined);
    incoming.on('end', () => {
      void shop.handle({ keys, method, url, tenant, fault, body: Buffer.concat(pieces).toString(), outgoing });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { orders: `http://127.0.0.1:${port}/orders`, count: `http://127.0.0.1:${port}/count` };
}
