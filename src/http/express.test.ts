import { once as event } from 'node:events';
import { request as httpRequest, type IncomingMessage, type Server } from 'node:http';
import express, { type ErrorRequestHandler, type Express, Router } from 'express';
import type { Transaction } from 'semel';
import { openStore, type EmbeddedStore } from 'semel/embedded';
import { createOnce, type ExpressContext, type ExpressOnce } from 'semel/express';
import type { Handler } from 'semel/http';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

let store: EmbeddedStore;
let app: Express;
let once: ExpressOnce<Transaction>;
let server: Server | undefined;
/** What Express' error handling was told. */
let faults: unknown[];

beforeEach(async () => {
  store = await openStore();
  app = express();
  once = createOnce(store, { scope: () => 'one' });
  faults = [];
});

afterEach(async () => {
  if (server !== undefined) {
    server.close();
    server.closeAllConnections();
    await event(server, 'close');
  }
  server = undefined;
  await store.close();
});

const telling: ErrorRequestHandler = (error: Error, _req, res, next) => {
  faults.push(error.message);
  if (res.headersSent) next(error);
  else res.status(500).send('told');
};

/** Listens, with an error handler that comes last, and answers how to send to a path there. */
async function listening() {
  app.set('env', 'test');
  app.use(telling);
  server = app.listen(0, '127.0.0.1');
  await event(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  // Not by fetch, which would resolve dot segments.
  return async (path: string, { method = 'POST', body = '{"amount":5}', type = 'application/json' } = {}) => {
    const headers = {
      'content-type': type,
      'idempotency-key': 'k',
      ...(body === '' ? {} : { 'content-length': body.length }),
    };
    const request = httpRequest({ host: '127.0.0.1', port, path, method, headers, agent: false });
    request.end(body);
    const [response] = (await event(request, 'response')) as [IncomingMessage];
    const text = Buffer.concat(await Array.fromAsync(response)).toString();
    return {
      status: response.statusCode,
      headers: response.headers,
      outcome: response.headers['idempotency-outcome'],
      text,
    };
  };
}

const deposit: Handler<Transaction, ExpressContext> = async (_request, tx) => {
  await tx.add(['count'], 1);
  return new Response('done');
};

function counted(): Promise<unknown> {
  return store.read((tx) => tx.get(['count']));
}

describe('a body parser', () => {
  test.each([
    ['of its own media type', {}],
    ['of another media type', { type: 'text/plain' }],
    ['without a body', { body: '', type: '' }],
  ])('a body parser before the route makes it refuse a request %s, before anything runs', async (_which, sent) => {
    app.use(express.json());
    app.post('/', once(deposit));
    const send = await listening();
    const { status, outcome } = await send('/', sent);
    expect([status, outcome]).toEqual([500, 'refused']);
    expect(faults).toEqual([
      expect.stringMatching(/the request body is .*express\.json\(\).* after the protected routes/),
    ]);
    expect(await counted()).toBeUndefined();
  });

  test('a body parser after the route, or on another path, stands in nobody’s way', async () => {
    app.use('/other', express.json());
    app.post('/', once(deposit));
    app.use(express.json());
    app.post(['/other', '/late'], (req, res) => void res.json(req.body));
    const send = await listening();
    expect((await send('/')).outcome).toBe('executed');
    expect((await send('/other')).text).toBe('{"amount":5}');
    expect((await send('/late')).text).toBe('{"amount":5}');
  });

  test('a body parser that is a middleware of one’s own is found by the stream that it has read', async () => {
    app.use((req, _res, next) => void req.resume().once('end', next));
    app.post('/', once(deposit));
    const send = await listening();
    expect((await send('/')).status).toBe(500);
    expect(faults).toEqual([expect.stringContaining('read by a middleware')]);
    expect(await counted()).toBeUndefined();
  });

  test('a body parser is not taken for a middleware that only takes its time', async () => {
    app.use(async (_req, _res, next) => {
      await store.read((tx) => tx.get(['session']));
      next();
    });
    app.post(
      '/',
      once(async (request) => new Response(await request.text())),
    );
    const send = await listening();
    expect((await send('/')).text).toBe('{"amount":5}');
  });
});

describe('the path', () => {
  test('the path counts whole, whatever routers it came through', async () => {
    const accounts = Router({ mergeParams: true });
    accounts.post(
      '/transfers/:id',
      once((_request, _tx, { params, req }) => Response.json({ ...params, url: req.url })),
    );
    app.use(['/v1/:tenant', '/v2/:tenant'], accounts);
    const send = await listening();
    const first = await send('/v1/ann/transfers/7');
    expect(JSON.parse(first.text)).toEqual({ tenant: 'ann', id: '7', url: '/transfers/7' });
    expect((await send('/v2/ann/transfers/7')).outcome).toBe('mismatch');
    expect((await send('/v1/ann/transfers/7')).outcome).toBe('replayed');
  });

  test('the path counts as it was sent, with its dot segments, and a wildcard is one text', async () => {
    app.post(
      '/kv/*key',
      once((_request, _tx, { params }) => Response.json(params)),
    );
    const send = await listening();
    expect((await send('/kv/a/../b')).text).toBe('{"key":"a/../b"}');
    expect((await send('/kv/b')).outcome).toBe('mismatch');
  });
});

describe('the scope', () => {
  test('the scope may rely on what a middleware left on the request', async () => {
    app.use((req, res, next) => {
      Object.assign(res.locals, { tenant: req.query['tenant'] });
      next();
    });
    const tenants = createOnce(store, { scope: (req) => String(req.res?.locals['tenant']) });
    app.post('/', tenants(deposit, { query: [] }));
    const send = await listening();
    const answers = [await send('/?tenant=ann'), await send('/?tenant=bob'), await send('/?tenant=ann')];
    expect(answers.map(({ outcome }) => outcome)).toEqual(['executed', 'executed', 'replayed']);
  });

  test('the scope cannot be left out', () => {
    // @ts-expect-error it is mandatory
    expect(() => createOnce(store, {})).toThrow(/scope is undefined/);
  });
});

describe('the answer', () => {
  test('the answer gets no field that it has not, be it a media type or a validator', async () => {
    app.disable('x-powered-by');
    app.post(
      '/',
      once(() => new Response(Uint8Array.of(1))),
    );
    const send = await listening();
    for (const marks of [[], ['idempotent-replayed']]) {
      const names = Object.keys((await send('/')).headers).filter((name) => !['date', 'connection'].includes(name));
      expect(names.sort()).toEqual(['content-length', 'idempotency-expires', 'idempotency-outcome', ...marks].sort());
    }
  });

  test('the answer to HEAD has the length of what GET would get', async () => {
    app.get(
      '/',
      once(() => new Response('twelve bytes')),
    );
    const send = await listening();
    const { headers, text } = await send('/', { method: 'HEAD', body: '' });
    expect([headers['content-length'], text]).toEqual(['12', '']);
  });

  test.each([
    ['', undefined],
    ['longer than five', '16'],
  ])('the answer %j has no length of another, which a middleware has set before', async (body, length) => {
    app.use((_req, res, next) => {
      res.setHeader('content-length', 5);
      next();
    });
    app.post(
      '/',
      once(() => new Response(body)),
    );
    const send = await listening();
    const { headers, text } = await send('/');
    expect([headers['content-length'], text]).toEqual([length, body]);
  });

  test('the answer is dropped where a middleware has answered in the meantime, and the outcome stands', async () => {
    app.use((req, res, next) => {
      if (req.query['slow'] !== undefined) res.status(503).end('too slow');
      next();
    });
    app.post('/', once(deposit, { query: [] }));
    const send = await listening();
    expect((await send('/')).outcome).toBe('executed');
    const late = await send('/?slow');
    expect([late.status, late.outcome, late.text]).toEqual([503, undefined, 'too slow']);
    expect((await send('/')).outcome).toBe('replayed');
    expect(faults).toEqual([]);
  });
});

describe("Express' error handling", () => {
  test("Express' error handling answers what a handler throws; nothing is kept, and a retry executes", async () => {
    let failing = true;
    app.post(
      '/',
      once(async (request, tx, context) => {
        const response = await deposit(request, tx, context);
        if (failing) throw new Error('out of ink');
        return response;
      }),
    );
    const send = await listening();
    const failed = await send('/');
    expect([failed.status, failed.outcome, failed.text, faults]).toEqual([500, 'refused', 'told', ['out of ink']]);
    failing = false;
    expect((await send('/')).outcome).toBe('executed');
    expect(await counted()).toBe(1);
  });

  test("Express' error handling is told of a handler that sends by itself, and nothing of it takes effect", async () => {
    app.post(
      '/',
      once(async (request, tx, context) => {
        await deposit(request, tx, context);
        context.req.res?.send('sent by myself');
        return new Response('returned');
      }),
    );
    app.post(
      '/silent',
      // @ts-expect-error as one would write it for Express alone
      once(async (_request, tx, { req }) => {
        await tx.add(['count'], 1);
        req.res?.json({ ok: true });
      }),
    );
    const send = await listening();
    expect((await send('/')).text).toBe('sent by myself');
    expect((await send('/silent')).text).toBe('{"ok":true}');
    expect(faults).toEqual([
      expect.stringContaining('the reply is "sent already"'),
      expect.stringContaining('the reply is "sent already"'),
    ]);
    expect(await counted()).toBeUndefined();
  });
});
