import { PassThrough } from 'node:stream';
import Fastify, { type FastifyInstance } from 'fastify';
import type { Transaction } from 'semel';
import { openStore, type EmbeddedStore } from 'semel/embedded';
import { createOnce, type FastifyOnce, type OnceRoute } from 'semel/fastify';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

let store: EmbeddedStore;
let app: FastifyInstance;
let once: FastifyOnce<Transaction>;
let executions: number;

beforeEach(async () => {
  store = await openStore();
  app = Fastify();
  once = createOnce(store, { scope: () => 'one' });
  executions = 0;
});

afterEach(async () => {
  await app.close();
  await store.close();
});

const echo: OnceRoute<Transaction> = {
  method: 'POST',
  url: '/',
  async handler(request) {
    executions += 1;
    return new Response(await request.text());
  },
};

async function listening() {
  const origin = await app.listen({ port: 0 });
  const headers = { 'idempotency-key': 'k', 'content-type': 'application/json' };
  return (body: string): Promise<Response> => fetch(origin, { method: 'POST', headers, body });
}

describe('the raw body', () => {
  test('the raw body reaches the handler whatever parsers the scopes around have', async () => {
    app.removeContentTypeParser('application/json');
    app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, _body, done) =>
      done(null, 'parsed away'),
    );
    app.register(once(echo));
    const send = await listening();
    expect(await (await send('{ "a" : 1 }')).text()).toBe('{ "a" : 1 }');
  });
});

describe('a schema', () => {
  const schema = { body: { type: 'object', required: ['amount'], properties: { amount: { type: 'integer' } } } };

  test('a schema refuses a body before the claim, so the key is not consumed', async () => {
    app.register(once({ ...echo, schema }));
    const send = await listening();
    expect((await send('{"amount":"much"}')).status).toBe(400);
    expect((await send('no json')).status).toBe(400);
    expect(executions).toBe(0);
    expect((await send('{"amount":5}')).headers.get('idempotency-outcome')).toBe('executed');
  });

  test('a schema may alter the document that hooks see, yet the handler reads what was sent', async () => {
    const seen: unknown[] = [];
    app.addHook('preHandler', async ({ body }) => void seen.push(body));
    app.register(once({ ...echo, schema }));
    const send = await listening();
    expect(await (await send('{"amount":"5"}')).text()).toBe('{"amount":"5"}');
    expect(seen).toEqual([{ amount: 5 }]);
  });
});

describe('a body that is too large', () => {
  test("a body that is too large for Fastify's own bound may be allowed by the route", async () => {
    app = Fastify({ bodyLimit: 10 });
    app.register(once(echo, { bodyBytesMax: 100 }));
    const send = await listening();
    expect((await send('x'.repeat(100))).status).toBe(200);
  });
});

describe('a route at start', () => {
  test('a route at start is refused under a preParsing hook of a scope around it', async () => {
    app.addHook('preParsing', async () => new PassThrough());
    app.register(once(echo));
    await expect(app.ready()).rejects.toThrow(/under a preParsing hook, which may replace the body/);
  });

  test('a route at start is refused when another plugin gives it a preParsing hook', async () => {
    app.addHook('onRoute', (route) => {
      route.preParsing = async () => new PassThrough();
    });
    app.register(once(echo));
    await expect(app.ready()).rejects.toThrow(/under a preParsing hook/);
  });

  test('a route at start is accepted beside a scope with such a hook', async () => {
    app.register(async (other) => {
      other.addHook('preParsing', async () => new PassThrough());
    });
    app.register(once(echo));
    await expect(app.ready()).resolves.toBeDefined();
  });

  test('a route at start is refused without a handler', () => {
    // @ts-expect-error it is what a route is for
    expect(() => once({ method: 'POST', url: '/' })).toThrow(/handler/);
  });
});
