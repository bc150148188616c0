import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { setCookie } from 'hono/cookie';
import { HTTPException } from 'hono/http-exception';
import { validator } from 'hono/validator';
import type { Transaction } from 'semel';
import { openStore, type EmbeddedStore } from 'semel/embedded';
import { createOnce, type HonoContext } from 'semel/hono';
import type { Handler } from 'semel/http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

interface AppEnv {
  readonly Variables: { tenant: string };
}

/** As @hono/node-server has it. */
interface NodeEnv {
  readonly Bindings: { readonly outgoing: ServerResponse };
}

let store: EmbeddedStore;
let app: Hono;
/** What Hono's error handler was told. */
let faults: string[];

beforeEach(async () => {
  store = await openStore();
  faults = [];
  app = new Hono();
  app.onError((error, c) => {
    faults.push(error.message);
    return error instanceof HTTPException ? error.getResponse() : c.text('told', 500);
  });
});

afterEach(() => store.close());

function protect() {
  return createOnce(store, { scope: () => 'one' });
}

/** Without a server: Hono takes a request of any kind. */
async function send(path = '/', body = '{"amount":5}') {
  const headers = { 'idempotency-key': 'k', 'content-type': 'application/json' };
  const response = await app.request(path, { method: 'POST', headers, body });
  const outcome = response.headers.get('idempotency-outcome');
  return { status: response.status, headers: response.headers, outcome, text: await response.text() };
}

const deposit: Handler<Transaction, HonoContext> = async (request, tx) => {
  await tx.add(['count'], 1);
  return new Response(await request.text());
};

function counted(): Promise<unknown> {
  return store.read((tx) => tx.get(['count']));
}

describe('a body that somebody has read', () => {
  test('a body that somebody has read makes the route refuse the request, before anything runs', async () => {
    app.post(
      '/',
      validator('json', (value) => value),
      protect()(deposit),
    );
    const { status, outcome } = await send();
    expect([status, outcome]).toEqual([500, 'refused']);
    expect(faults).toEqual([expect.stringMatching(/the request body is .*; expected .*the route's guard/)]);
    expect(await counted()).toBeUndefined();
  });

  test("a body that somebody has read only in the route's guard is still there", async () => {
    const guard = async (request: Request): Promise<Response | undefined> =>
      (await request.text()).includes('amount') ? undefined : new Response('how much?', { status: 422 });
    app.post('/', protect()(deposit, { guard }));
    expect([await send('/', '{}'), await send()].map(({ status, outcome }) => [status, outcome])).toEqual([
      [422, 'refused'],
      [200, 'executed'],
    ]);
  });

  test('a body that somebody has read and put back, as bodyLimit does, is as good as one that nobody has', async () => {
    app.post('/', bodyLimit({ maxSize: 100 }), protect()(deposit));
    const body = ReadableStream.from([new TextEncoder().encode('{"a" :1}')]);
    const headers = { 'idempotency-key': 'k', 'transfer-encoding': 'chunked' };
    const response = await app.request('/', { method: 'POST', headers, body, duplex: 'half' });
    expect(await response.text()).toBe('{"a" :1}');
  });
});

describe('the route', () => {
  test('the route counts with its whole path, wherever it is mounted', async () => {
    const accounts = new Hono();
    accounts.post(
      '/:id',
      protect()((_request, _tx, { params, c }) => c.json({ ...params, path: c.req.path })),
    );
    app.route('/v1/:tenant', accounts).route('/v2/:tenant', accounts);
    expect(JSON.parse((await send('/v1/ann/7')).text)).toEqual({ tenant: 'ann', id: '7', path: '/v1/ann/7' });
    expect((await send('/v2/ann/7')).outcome).toBe('mismatch');
  });

  test('the route has its scope from what a middleware has set, typed as the application is', async () => {
    const tenants = createOnce(store, { scope: (c: Context<AppEnv>) => c.get('tenant') });
    const typed = new Hono<AppEnv>();
    typed.use(async (c, next) => {
      c.set('tenant', c.req.query('tenant') ?? '');
      await next();
    });
    typed.post(
      '/',
      tenants((_request, _tx, { c }) => c.text(c.get('tenant')), { query: [] }),
    );
    app.route('/', typed);
    const answers = [await send('/?tenant=ann'), await send('/?tenant=bob'), await send('/?tenant=ann')];
    expect(answers.map(({ outcome, text }) => `${outcome} ${text}`)).toEqual([
      'executed ann',
      'executed bob',
      'replayed ann',
    ]);
  });

  test('the route cannot go without a scope', () => {
    // @ts-expect-error it is mandatory
    expect(() => createOnce(store, {})).toThrow(/scope is undefined/);
  });
});

describe("the handler's own answer", () => {
  test("the handler's own answer is what it returns, by c.json too; what else it sets on c reaches nobody", async () => {
    app.use(async (c, next) => {
      c.header('x-request', '1');
      c.header('vary', 'Origin');
      setCookie(c, 'seen', '1');
      await next();
    });
    const handler: Handler<Transaction, HonoContext> = (_request, _tx, { c }) => {
      c.header('x-cost', '5');
      setCookie(c, 'basket', '7');
      c.header('x-kept', 'yes');
      return c.json({ ok: true }, 201);
    };
    app.post('/', protect()(handler, { headers: ['x-kept'] }));
    const first = await send();
    const replay = await send();
    for (const { status, headers, text } of [first, replay]) {
      expect([status, text, headers.get('content-type')]).toEqual([201, '{"ok":true}', 'application/json']);
      const told = ['x-request', 'x-cost', 'x-kept', 'vary'].map((name) => headers.get(name));
      expect(told).toEqual(['1', null, 'yes', 'Origin']);
    }
    expect(first.headers.getSetCookie()).toEqual(['seen=1; Path=/', 'basket=7; Path=/']);
    expect(replay.headers.getSetCookie()).toEqual(['seen=1; Path=/']);
  });

  test("the handler's own answer is not to be set as c.res: the error handler is told, and nothing takes effect", async () => {
    const handler: Handler<Transaction, HonoContext> = async (request, tx, context) => {
      context.c.res = await deposit(request, tx, context);
      return new Response('returned');
    };
    app.post('/', protect()(handler));
    expect((await send()).status).toBe(500);
    expect(faults).toEqual([expect.stringContaining('the reply is "sent already"')]);
    expect(await counted()).toBeUndefined();
  });

  test("the handler's own answer is not to be written to the server's response either", async () => {
    const scope = (_c: Context<NodeEnv>): string => 'one';
    const once = createOnce(store, { scope });
    app.post(
      '/',
      once(async (_request, tx, { c }) => {
        await tx.add(['count'], 1);
        c.env.outgoing.writeHead(200);
        return new Response(null);
      }),
    );
    const outgoing = new ServerResponse(new IncomingMessage(new Socket()));
    const headers = { 'idempotency-key': 'k' };
    expect((await app.request('/', { method: 'POST', headers }, { outgoing })).status).toBe(500);
    expect(faults).toEqual([expect.stringContaining('the reply is "sent already"')]);
    expect(await counted()).toBeUndefined();
  });

  test("the handler's own answer has no length of another, which a middleware has set before", async () => {
    app.use(async (c, next) => {
      c.header('content-length', '5');
      await next();
    });
    app.post('/', protect()(deposit));
    const { headers, text } = await send();
    expect([headers.get('content-length'), text]).toEqual([null, '{"amount":5}']);
  });

  test("the handler's own answer is dropped where a middleware has answered in the meantime, and the outcome stands", async () => {
    app.use(async (c, next) => {
      const running = next();
      if (c.req.query('slow') !== undefined) c.res = c.text('too slow', 503);
      await running;
    });
    app.post('/', protect()(deposit, { query: [] }));
    expect((await send()).outcome).toBe('executed');
    const late = await send('/?slow');
    expect([late.status, late.outcome, late.text]).toEqual([503, null, 'too slow']);
    expect((await send()).outcome).toBe('replayed');
    expect(faults).toEqual([]);
  });
});

describe("Hono's error handler", () => {
  test("Hono's error handler answers what a handler throws; nothing is kept, and a retry executes", async () => {
    const thrown: Error[] = [new Error('out of ink'), new HTTPException(402, { message: 'no funds' })];
    app.post(
      '/',
      protect()(async (request, tx, context) => {
        const response = await deposit(request, tx, context);
        const error = thrown.shift();
        if (error !== undefined) throw error;
        return response;
      }),
    );
    const failed = await send();
    expect([failed.status, failed.outcome, failed.text]).toEqual([500, 'refused', 'told']);
    const unpaid = await send();
    expect([unpaid.status, unpaid.text]).toEqual([402, 'no funds']);
    expect(faults).toEqual(['out of ink', 'no funds']);
    expect((await send()).outcome).toBe('executed');
    expect(await counted()).toBe(1);
  });
});
