import { once as event } from 'node:events';
import { request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import { connect, type IncomingHttpHeaders } from 'node:http2';
import { gzipSync } from 'node:zlib';
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { openStore, type EmbeddedStore } from 'semel/embedded';
import { createOnce, type FastifyOnce } from 'semel/fastify';
import type { Transaction } from 'semel';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';

let store: EmbeddedStore;
let app: FastifyInstance;
let once: FastifyOnce<Transaction>;

beforeEach(async () => {
  store = await openStore();
  app = Fastify();
  once = createOnce(store, { scope: () => 'one' });
});

afterEach(async () => {
  await app.close();
  await store.close();
});

interface Sent {
  readonly method?: string;
  readonly key?: string;
  readonly body?: string;
  readonly headers?: Record<string, string>;
}

/** Listens, and answers how to send to a path there. */
async function listening() {
  const origin = await app.listen({ port: 0 });
  return async (path: string, { method = 'POST', key = 'k', body = '{"amount":5}', headers = {} }: Sent = {}) => {
    const response = await fetch(origin + path, {
      method,
      headers: { 'content-type': 'application/json', 'idempotency-key': key, ...headers },
      ...(method === 'GET' || method === 'HEAD' ? {} : { body }),
    });
    return {
      response,
      status: response.status,
      headers: response.headers,
      bytes: Buffer.from(await response.arrayBuffer()),
    };
  };
}

function count(tx: Transaction): Promise<unknown> {
  return tx.add(['count'], 1);
}

function counted(): Promise<unknown> {
  return store.read((tx) => tx.get(['count']));
}

/** For requests that fetch would not send as they are. */
async function sendPlainly(
  path: string,
  headers: OutgoingHttpHeaders,
  body = '',
): Promise<{ status: number; outcome: unknown; text: string }> {
  const { hostname, port } = new URL(app.listeningOrigin);
  const request = httpRequest({ hostname, port, path, method: 'POST', headers });
  request.end(body);
  const [response] = (await event(request, 'response')) as [IncomingMessage];
  const text = Buffer.concat(await Array.fromAsync(response)).toString();
  return { status: response.statusCode ?? 0, outcome: response.headers['idempotency-outcome'], text };
}

describe('createOnce', () => {
  test('createOnce counts the whole path, wherever the route is mounted', async () => {
    app.register(
      once({
        method: 'POST',
        url: '/accounts/:account/transfers',
        handler: (_request, _tx, { params }) => Response.json(params),
      }),
      { prefix: '/v1' },
    );
    const send = await listening();
    expect((await send('/v1/accounts/7%2F8/transfers')).bytes.toString()).toBe('{"account":"7/8"}');
    expect((await send('/v1/accounts/9/transfers')).headers.get('idempotency-outcome')).toBe('mismatch');
  });

  test('createOnce takes the path as it was sent, with its dot segments', async () => {
    app.register(once({ method: 'POST', url: '/kv/*', handler: (_request, _tx, { params }) => Response.json(params) }));
    await app.listen({ port: 0 });
    const headers = { 'idempotency-key': 'k' };
    expect((await sendPlainly('/kv/a/../b', headers)).text).toBe('{"*":"a/../b"}');
    expect((await sendPlainly('/kv/b', headers)).outcome).toBe('mismatch');
  });

  test('createOnce lets GET, and the HEAD that Fastify makes of it, pass without a claim', async () => {
    let reads = 0;
    app.register(once({ method: 'GET', url: '/balance', handler: () => new Response(`${++reads}`) }));
    const send = await listening();
    await send('/balance', { method: 'GET' });
    const get = await send('/balance', { method: 'GET' });
    expect([get.bytes.toString(), get.headers.get('idempotency-outcome')]).toEqual(['2', null]);
    const head = await send('/balance', { method: 'HEAD' });
    expect([head.status, head.headers.get('content-length'), head.bytes.length]).toEqual([200, '1', 0]);
  });
});

describe('createOnce over HTTP/2', () => {
  test('createOnce over HTTP/2 has the request’s authority, fields and body, and sends nothing that HTTP/2 forbids', async () => {
    const secondApp = Fastify({ http2: true });
    onTestFinished(() => secondApp.close());
    const headers = new Headers([
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
      ['connection', 'keep-alive'],
      ['x-page', '1'],
    ]);
    const handler = async (request: Request): Promise<Response> =>
      new Response(`${request.url} ${request.headers.get('x-trace')} ${await request.text()}`, { headers });
    secondApp.register(once({ method: 'POST', url: '/orders', handler }, { headers: ['x-page'] }));
    const origin = await secondApp.listen({ port: 0, host: '127.0.0.1' });
    const session = connect(origin);
    onTestFinished(() => session.destroy());
    for (const [outcome, cookies] of [
      ['executed', ['a=1', 'b=2']],
      ['replayed', undefined],
    ] as const) {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/orders?a',
        'idempotency-key': 'k',
        'x-trace': '7',
      });
      stream.end('{"amount":5}');
      const [fields] = (await event(stream, 'response')) as [IncomingHttpHeaders];
      expect([fields[':status'], fields['idempotency-outcome']]).toEqual([200, outcome]);
      expect([fields['set-cookie'], fields['x-page'], fields.connection]).toEqual([cookies, '1', undefined]);
      expect(Buffer.concat(await Array.fromAsync<Buffer>(stream)).toString()).toBe(`${origin}/orders?a 7 {"amount":5}`);
    }
  });
});

describe("Fastify's hooks", () => {
  test("Fastify's hooks see each answer on its way out, the first one and the replay; what is kept is the handler's own", async () => {
    app.addHook('onSend', async (_request, reply, payload) => {
      reply.header('content-encoding', 'gzip').removeHeader('content-length');
      return gzipSync(payload as Buffer);
    });
    app.register(once({ method: 'POST', url: '/', handler: () => new Response('much') }));
    const send = await listening();
    const first = await send('/');
    const second = await send('/');
    expect([first.bytes.toString(), second.bytes.toString()]).toEqual(['much', 'much']);
    expect([first.headers.get('content-encoding'), second.headers.get('content-encoding')]).toEqual(['gzip', 'gzip']);
    expect(second.headers.get('idempotent-replayed')).toBe('true');
  });

  test("Fastify's hooks refuse without consuming the key, and leave on the request what the scope needs", async () => {
    app.decorateRequest('tenant', '');
    app.addHook('preHandler', async (request, reply) => {
      const { authorization } = request.headers;
      if (authorization === undefined) return reply.code(401).send('who are you?');
      request.setDecorator('tenant', authorization);
      return undefined;
    });
    const tenants = createOnce(store, { scope: (request) => request.getDecorator<string>('tenant') });
    app.register(
      tenants({
        method: 'POST',
        url: '/',
        handler: async (_request, tx) => new Response(JSON.stringify(await count(tx))),
      }),
    );
    const send = await listening();
    expect((await send('/')).status).toBe(401);
    const one = await send('/', { headers: { authorization: 'one' } });
    const two = await send('/', { headers: { authorization: 'two' } });
    expect([one, two].map(({ headers }) => headers.get('idempotency-outcome'))).toEqual(['executed', 'executed']);
    expect(await counted()).toBe(2);
  });
});

describe("Fastify's error handler", () => {
  test("Fastify's error handler answers what a handler throws; nothing is kept, and a retry executes", async () => {
    app.setErrorHandler((error: Error, _request, reply) => reply.code(418).send({ told: error.message }));
    let failing = true;
    app.register(
      once({
        method: 'POST',
        url: '/',
        async handler(_request, tx) {
          await count(tx);
          if (failing) throw new Error('out of ink');
          return new Response('printed');
        },
      }),
    );
    const send = await listening();
    const failed = await send('/');
    expect([failed.status, failed.bytes.toString()]).toEqual([418, '{"told":"out of ink"}']);
    expect(failed.headers.get('idempotency-outcome')).toBe('refused');
    failing = false;
    expect((await send('/')).headers.get('idempotency-outcome')).toBe('executed');
    expect(await counted()).toBe(1);
  });

  test("Fastify's error handler is told of a handler that returns no Response, and nothing takes effect", async () => {
    app.register(
      once({
        method: 'POST',
        url: '/',
        // @ts-expect-error as one would write it for Fastify alone
        async handler(_request, tx) {
          await count(tx);
          return { ok: true };
        },
      }),
    );
    const send = await listening();
    const { status, bytes } = await send('/');
    expect([status, bytes.toString()]).toEqual([500, expect.stringContaining('a handler returns its answer')]);
    expect(await counted()).toBeUndefined();
  });

  test("Fastify's error handler cannot save what a handler has sent by itself, but nothing of it takes effect", async () => {
    const replies: FastifyReply[] = [];
    const failures: unknown[] = [];
    once = createOnce(store, { scope: () => 'one', onOperation: ({ error }) => void failures.push(error) });
    app.addHook('onRequest', async (_request, reply) => void replies.push(reply));
    app.register(
      once({
        method: 'POST',
        url: '/',
        async handler(_request, tx) {
          await count(tx);
          replies[0]?.send('sent by myself');
          return new Response('returned');
        },
      }),
    );
    const send = await listening();
    expect((await send('/')).bytes.toString()).toBe('sent by myself');
    expect(failures).toEqual([
      expect.objectContaining({ message: expect.stringContaining('the reply is "sent already"') }),
    ]);
    expect(await counted()).toBeUndefined();
  });
});
