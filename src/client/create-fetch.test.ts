import { readFileSync, readdirSync } from 'node:fs';
import { createFetch, type ClientOptions, type OperationUnknownError } from 'semel/client';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  answer,
  FaultyServer,
  hang,
  problem,
  reset,
  resetHalfway,
  type Reaction,
} from '../testing/faulty-server.harness.ts';
import { until } from '../testing/manual-world.ts';
import { SkippingEnvironment } from '../testing/skipping-environment.harness.ts';
import { defaults } from './create-fetch.ts';

const ok = answer(201, { 'idempotency-outcome': 'executed' }, 'done');
const uuidV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

async function against(reactions: readonly Reaction[], options: ClientOptions = {}) {
  const server = await FaultyServer.start(...reactions);
  onTestFinished(() => server.stop());
  const environment = new SkippingEnvironment();
  return { server, environment, send: createFetch({ environment, ...options }), url: `${server.url}/orders` };
}

function post(body = '{"amount":5}'): RequestInit {
  return { method: 'POST', body, headers: { 'content-type': 'application/json' } };
}

async function failure(call: Promise<unknown>): Promise<OperationUnknownError> {
  return call.then(
    () => expect.unreachable('the call was answered'),
    (error: unknown) => error as OperationUnknownError,
  );
}

describe('createFetch', () => {
  test.for([
    ['a reset before the answer', reset],
    ['a reset halfway through the answer', resetHalfway],
    ['500', answer(500)],
    ['502', answer(502)],
    ['503', answer(503, { 'retry-after': '1' })],
    ['504', answer(504)],
    ['425', answer(425)],
    ['429', answer(429)],
    ['409 in progress', problem(409, 'in-progress', { 'retry-after': '1' })],
    ['409 in progress without its problem', answer(409, { 'idempotency-outcome': 'in-progress' })],
    ['409 that only says when to come back', answer(409, { 'retry-after': '1' })],
  ] as const)('createFetch sends again, with the same key and body, after %s', async ([, reaction]) => {
    const { server, send, url } = await against([reaction, reaction, ok]);
    const response = await send(url, post());
    expect([response.status, await response.text()]).toEqual([201, 'done']);
    expect(server.received.map(({ method, body }) => [method, body])).toEqual(
      [1, 2, 3].map(() => ['POST', '{"amount":5}']),
    );
    const keys = new Set(server.received.map(({ key }) => key));
    expect(keys.size).toBe(1);
    expect([...keys][0]).toMatch(uuidV7);
  });

  test.for([
    ['a mismatch', problem(409, 'key-reused', { 'idempotency-outcome': 'mismatch', 'retry-after': '1' })],
    ["a mismatch in the draft's manner", answer(422)],
    ['an expiry', problem(410, 'expired', { 'idempotency-outcome': 'expired' })],
    ['a conflict of the application', problem(409, 'check-failed', { 'retry-after': '1' })],
    ['a 409 without a word', answer(409)],
    ['a cancelled operation', problem(409, 'cancelled', { 'idempotency-outcome': 'refused' })],
    ['a replayed failure', answer(500, { 'idempotent-replayed': 'true' })],
    ['a kept failure', answer(503, { 'idempotency-outcome': 'executed' })],
    ['400', answer(400)],
    ['401', answer(401)],
    ['402', answer(402)],
    ['404', answer(404)],
    ['413', answer(413)],
    ['202', answer(202, { 'idempotency-outcome': 'in-progress', 'retry-after': '1' })],
  ] as const)('createFetch hands out %s as it is, after one attempt', async ([, reaction]) => {
    const { server, send, url } = await against([reaction]);
    const response = await send(url, post());
    expect(response.url).toBe(url);
    expect(server.received).toHaveLength(1);
  });

  test('createFetch gives each call a key of its own, and the keys are in order', async () => {
    const { server, send, url } = await against([ok]);
    for (const method of ['POST', 'PATCH', 'PUT', 'DELETE', 'PURGE']) await send(url, { method });
    const keys = server.received.map(({ key }) => key ?? '');
    expect(new Set(keys).size).toBe(5);
    expect(keys).toEqual([...keys].sort());
  });

  test('createFetch sends GET, HEAD and OPTIONS again without a key, and hands out the last answer or failure', async () => {
    for (const method of ['GET', 'HEAD', 'OPTIONS']) {
      const { server, send, url } = await against([reset, answer(503)], { attemptsMax: 3 });
      expect((await send(url, { method })).status).toBe(503);
      expect(server.received.map(({ key }) => key)).toEqual([undefined, undefined, undefined]);
    }
    const { send, url } = await against([reset]);
    await expect(send(url)).rejects.toThrow(TypeError);
  });

  test('createFetch leaves a key that the request has, and asks `key` for a kept one otherwise', async () => {
    const { server, send, url } = await against([answer(503), ok, ok, ok], {
      key: async (request) => (request.url.endsWith('/kept') ? 'order-42' : undefined),
    });
    await send(url, { ...post(), headers: { 'idempotency-key': '"mine"' } });
    await send(`${url}/kept`, post());
    await send(url, post());
    const [first, second, third, fourth] = server.received.map(({ key }) => key);
    expect([first, second, third]).toEqual(['"mine"', '"mine"', 'order-42']);
    expect(fourth).toMatch(uuidV7);
  });

  test.for([
    '',
    ' ',
    'a b',
    'k\u00e9y',
    'k'.repeat(256),
    // What a lookup in a database answers, in a program without types.
    null as unknown as string,
    42 as unknown as string,
  ])('createFetch refuses the kept key %j', async (kept) => {
    const { server, send, url } = await against([ok], { key: () => kept });
    const error = await failure(send(url, post()));
    expect([error.code, error.effect]).toEqual(['invalid-argument', 'did-not-happen']);
    expect(server.received).toEqual([]);
  });

  test('createFetch lets `key` read the body, and sends it all the same', async () => {
    const { server, send, url } = await against([reset, ok], {
      key: async (request) => `order-${((await request.json()) as { order: number }).order}`,
    });
    await send(url, post('{"order":42}'));
    expect(server.received.map(({ key, body }) => [key, body])).toEqual([
      ['order-42', '{"order":42}'],
      ['order-42', '{"order":42}'],
    ]);
  });

  test('createFetch lets a fault of `key` through, and sends nothing', async () => {
    for (const key of [() => Promise.reject(new Error('no database')), () => fail(new Error('no database'))]) {
      const { server, send, url } = await against([ok], { key });
      await expect(send(url, post())).rejects.toThrow('no database');
      expect(server.received).toEqual([]);
    }
  });

  test('createFetch refuses a request whose body somebody has read, in part or whole, or holds, as fetch does', async () => {
    const { server, send, url } = await against([ok]);
    const request = () => new Request(url, { method: 'POST', body: 'all of it' });
    const read = request();
    await read.text();
    const begun = new Request(url, {
      method: 'POST',
      body: ReadableStream.from([new Uint8Array(1), new Uint8Array(1)]),
      duplex: 'half',
    });
    const reader = begun.body?.getReader();
    await reader?.read();
    reader?.releaseLock();
    const held = request();
    held.body?.getReader();
    for (const unusable of [read, begun, held]) await expect(send(unusable)).rejects.toThrow(TypeError);
    expect(server.received).toEqual([]);
  });

  test('createFetch sends a request that does not show its body, as in Firefox', async () => {
    const { server, send, url } = await against([reset, ok]);
    for (const init of [{ method: 'GET' }, { method: 'POST', body: 'b' }, { method: 'DELETE' }]) {
      const request = Object.defineProperty(new Request(url, init), 'body', { value: undefined });
      expect((await send(request)).status).toBe(201);
    }
    expect(server.received.map(({ method, body }) => [method, body])).toEqual([
      ['GET', ''],
      ['GET', ''],
      ['POST', 'b'],
      ['DELETE', ''],
    ]);
  });

  test('createFetch reads a body of any kind once, and sends the same bytes each time', async () => {
    const form = new FormData();
    form.append('amount', '5');
    const stream = () => ReadableStream.from([new TextEncoder().encode('st'), new TextEncoder().encode('ream')]);
    const bodies: (RequestInit & { duplex?: 'half' })[] = [
      { body: new Blob(['blob']) },
      { body: form },
      { body: new URLSearchParams({ a: 'b' }) },
      { body: stream(), duplex: 'half' },
      { body: new Uint8Array() },
      {},
    ];
    for (const init of bodies) {
      const { server, send, url } = await against([reset, answer(503), ok]);
      await send(new Request(url, { method: 'POST', ...init }));
      const sent = server.received.map(({ body, headers }) => `${headers['content-type']}\n${body}`);
      expect(sent).toHaveLength(3);
      expect(new Set(sent).size).toBe(1);
    }
  });

  test('createFetch refuses a body beyond bodyBytesMax before anything is sent', async () => {
    const { server, send, url } = await against([ok], { bodyBytesMax: 4 });
    let cancelled = 0;
    const endless = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array([1, 2, 3])),
      cancel: () => void (cancelled += 1),
    });
    for (const body of ['12345', endless]) {
      const init: RequestInit = { method: 'POST', body, duplex: 'half' };
      const error = await failure(send(url, init));
      expect(error).toMatchObject({
        code: 'limit-exceeded',
        effect: 'did-not-happen',
        limit: 'bodyBytesMax',
        maximum: 4,
      });
    }
    expect(cancelled).toBe(1);
    expect((await send(url, post('1234'))).status).toBe(201);
    expect(server.received).toHaveLength(1);
  });

  test('createFetch lets a fault of the body stream through, and sends nothing', async () => {
    const { server, send, url } = await against([ok]);
    const body = new ReadableStream({ pull: () => Promise.reject(new Error('the file is gone')) });
    const init: RequestInit = { method: 'POST', body, duplex: 'half' };
    await expect(send(url, init)).rejects.toThrow('the file is gone');
    expect(server.received).toEqual([]);
  });

  test('createFetch ends an attempt that hangs, and the next one is answered', async () => {
    const { server, environment, send, url } = await against([hang, ok]);
    const call = send(url, post());
    await until(() => server.received.length === 1);
    environment.expire();
    expect((await call).status).toBe(201);
    expect(server.received[0]?.key).toBe(server.received[1]?.key);
  });

  test('createFetch ends an attempt whose answer stops halfway without an end', async () => {
    const flushed = Promise.withResolvers<void>();
    const stall: Reaction = (response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half', () => flushed.resolve());
    };
    const { environment, send, url } = await against([stall, ok]);
    const call = send(url, post());
    await flushed.promise;
    environment.expire();
    expect(await (await call).text()).toBe('done');
  });

  test('createFetch hands out an answer beyond responseBytesMax, and one of events, without waiting for the end', async () => {
    const more = Promise.withResolvers<void>();
    const begin =
      (type: string): Reaction =>
      (response) => {
        response.writeHead(200, { 'content-type': type });
        response.write('12345');
        void more.promise.then(() => response.end('67890'));
      };
    const short = await against([begin('text/plain')], { responseBytesMax: 4 });
    const long = await short.send(short.url, post());
    const { send, url } = await against([begin('text/event-stream; charset=utf-8')]);
    const events = await send(url, post());
    more.resolve();
    expect([await long.text(), await events.text()]).toEqual(['1234567890', '1234567890']);
  });

  test('createFetch reads a problem also where responseBytesMax is 0, and takes one that is too large for open', async () => {
    const { server, send, url } = await against([problem(409, 'in-progress'), ok], { responseBytesMax: 0 });
    expect((await send(url, post())).status).toBe(201);
    expect(server.received).toHaveLength(2);
    const headers = { 'content-type': 'application/problem+json', 'idempotency-outcome': 'refused' };
    const large = await against([answer(503, headers, ' '.repeat(65_537))], { attemptsMax: 1, responseBytesMax: 0 });
    expect(await failure(large.send(large.url, post()))).toMatchObject({ code: 'unknown' });
  });

  test('createFetch hands out bytes as they are, empty answers, and the redirect that it followed', async () => {
    const moved: Reaction = (response, { path }) =>
      path === '/orders'
        ? void response.writeHead(303, { location: '/orders/1' }).end()
        : void response.end('\u0000\u00ff');
    const { send, url } = await against([moved]);
    const response = await send(url, post());
    expect([response.redirected, response.url, await response.text()]).toEqual([true, `${url}/1`, '\u0000\u00ff']);
    const empty = await against([answer(204)]);
    expect([await (await empty.send(empty.url, post())).text()]).toEqual(['']);
  });

  test.for([
    ['resets', [reset]],
    ['resets in mid-answer', [resetHalfway]],
    ['a proxy in trouble', [answer(502)]],
    ['a reset, then refusals for load', [reset, answer(429)]],
    ['an operation in progress', [problem(409, 'in-progress')]],
    ['an unknown commit', [problem(503, 'commit-unknown', { 'idempotency-outcome': 'refused' })]],
  ] as const)('createFetch says unknown after %s, with the key and the attempts', async ([, reactions]) => {
    const { server, send, url } = await against(reactions, { attemptsMax: 3 });
    const error = await failure(send(url, post('{"card":"4242"}')));
    expect(error).toMatchObject({ code: 'unknown', effect: 'unknown', attempts: 3, stoppedBy: 'attempts' });
    expect(error.key).toBe(server.received[0]?.key);
    expect(server.received).toHaveLength(3);
    // Exactly one of the two tells of the last attempt.
    expect(error.response === undefined).toBe(error.cause !== undefined);
    expect(JSON.stringify(error) + error.message).not.toMatch(/4242|orders|127\.0\.0\.1/);
    expect(JSON.stringify(error) + error.message).not.toContain(error.key);
  });

  test.for([
    ['401', 401, answer(401)],
    ['a refusal', 400, answer(400, { 'idempotency-outcome': 'refused' })],
    ["the draft's 409 of a request that is outstanding", 409, problem(409, 'idempotency')],
    ['409 without a word', 409, answer(409)],
  ] as const)('createFetch says unknown when a reset is followed by %s, and has it', async ([, status, refusal]) => {
    const { send, url } = await against([reset, refusal]);
    const error = await failure(send(url, post()));
    expect(error).toMatchObject({ code: 'unknown', attempts: 2, stoppedBy: 'answer' });
    expect(error.response?.status).toBe(status);
  });

  test.for([
    ['401', answer(401), 'answer'],
    ['429', answer(429), 'attempts'],
    ['503', answer(503, { 'idempotency-outcome': 'refused' }), 'attempts'],
  ] as const)(
    'createFetch says unknown when the effect happened and the redirect behind it led to %s',
    async ([, refusal, stoppedBy]) => {
      const redirect = answer(303, { location: '/orders/1' });
      const { server, send, url } = await against([redirect, refusal], { attemptsMax: 1 });
      expect(await failure(send(url, post()))).toMatchObject({ code: 'unknown', effect: 'unknown', stoppedBy });
      expect(server.received.map(({ method }) => method)).toEqual(['POST', 'GET']);
    },
  );

  test('createFetch follows 307 and 308 with the method, the key and the body', async () => {
    for (const status of [307, 308]) {
      const { server, send, url } = await against([answer(status, { location: '/elsewhere' }), ok]);
      expect((await send(url, { ...post('b'), headers: { 'idempotency-key': 'k' } })).status).toBe(201);
      expect(server.received).toMatchObject([
        { method: 'POST', path: '/orders', key: 'k', body: 'b' },
        { method: 'POST', path: '/elsewhere', key: 'k', body: 'b' },
      ]);
    }
  });

  test('createFetch hands out an answer that settles what an earlier attempt left open', async () => {
    for (const settling of [
      ok,
      answer(402, { 'idempotency-outcome': 'replayed', 'idempotent-replayed': 'true' }),
      problem(409, 'cancelled', { 'idempotency-outcome': 'refused' }),
      problem(409, 'key-reused'),
      problem(410, 'expired', { 'idempotency-outcome': 'expired' }),
      answer(422),
    ]) {
      const { server, send, url } = await against([reset, settling]);
      await send(url, post());
      expect(server.received).toHaveLength(2);
    }
  });

  test('createFetch hands out the last refusal when every attempt was refused without an effect', async () => {
    for (const refusal of [
      answer(429),
      answer(500, { 'idempotency-outcome': 'refused' }),
      problem(503, 'deadline-exceeded', { 'idempotency-outcome': 'refused', 'retry-after': '1' }),
    ]) {
      const { server, send, url } = await against([refusal], { attemptsMax: 3 });
      expect((await send(url, post())).status).toBeGreaterThan(428);
      expect(server.received).toHaveLength(3);
    }
  });

  test('createFetch says that nothing was sent when all connections were refused, unless a redirect may have led there', async () => {
    const { server, send, url } = await against([ok], { attemptsMax: 3 });
    await server.stop();
    const certain = await failure(send(url, { ...post(), redirect: 'error' }));
    expect(certain).toMatchObject({ code: 'not-sent', effect: 'did-not-happen', attempts: 3, stoppedBy: 'attempts' });
    expect(await failure(send(url, post()))).toMatchObject({ code: 'unknown', effect: 'unknown' });
  });

  test('createFetch says that nothing was sent only when no address of the host took a connection', async () => {
    const refused = Object.assign(new Error(), { syscall: 'connect', code: 'ECONNREFUSED' });
    const broken = Object.assign(new Error(), { syscall: 'read', code: 'ECONNRESET' });
    for (const [errors, code] of [
      [[refused, refused], 'not-sent'],
      [[refused, broken], 'unknown'],
      [[], 'unknown'],
    ] as const) {
      const cause = new AggregateError(errors);
      const fetch = () => Promise.reject(new TypeError('fetch failed', { cause }));
      const send = createFetch({ fetch, attemptsMax: 1 });
      expect(await failure(send('http://shop.test/', { ...post(), redirect: 'error' }))).toMatchObject({ code });
    }
  });

  test('createFetch names the key without the quotes that its field may have', async () => {
    const { send, url } = await against([reset], { attemptsMax: 1 });
    for (const field of ['mine', '"mine"']) {
      expect((await failure(send(url, { method: 'POST', headers: { 'idempotency-key': field } }))).key).toBe('mine');
    }
  });

  test('createFetch says unknown when the effect happened and the redirect behind it led nowhere', async () => {
    const gone = await FaultyServer.start();
    const { url: nowhere } = gone;
    await gone.stop();
    let effects = 0;
    const { send, url } = await against(
      [
        (response) => {
          effects += 1;
          response.writeHead(303, { location: nowhere }).end();
        },
      ],
      { attemptsMax: 1 },
    );
    expect(await failure(send(url, post()))).toMatchObject({ code: 'unknown', effect: 'unknown' });
    expect(effects).toBe(1);
  });

  test('createFetch says unknown when one connection broke and the others were refused', async () => {
    const { server, send, url } = await against([reset], {
      attemptsMax: 2,
      async fetch(request) {
        if (server.received.length === 1) await server.stop();
        return fetch(request);
      },
    });
    expect(await failure(send(url, { ...post(), redirect: 'error' }))).toMatchObject({ code: 'unknown', attempts: 2 });
  });

  test.for([
    [{ attemptsMax: 0 }, 'attemptsMax'],
    [{ deadlineMs: Number.NaN }, 'deadlineMs'],
    [{ attemptTimeoutMs: 2 ** 31 }, 'attemptTimeoutMs'],
    [{ pauseMs: -1 }, 'pauseMs'],
    [{ bodyBytesMax: 1.5 }, 'bodyBytesMax'],
    [{ budget: { share: -1 } }, 'budget.share'],
  ] as const)('createFetch refuses %o', ([options, field]) => {
    expect(() => createFetch(options)).toThrow(expect.objectContaining({ code: 'invalid-argument', field }));
  });

  test('createFetch has the bounds that docs/client.md says', () => {
    const page = readFileSync(`${import.meta.dirname}/../../docs/client.md`, 'utf8');
    const rows = page.matchAll(/^\| `(\w+)` \| ([\d,]+) \|/gm);
    const said = Object.fromEntries(
      [...rows].map(([, name, number = '']) => [name, Number(number.replaceAll(',', ''))]),
    );
    expect(said).toEqual(defaults);
  });

  test('createFetch needs nothing but web standards: its files import each other alone', () => {
    const files = readdirSync(import.meta.dirname).filter((name) => !name.endsWith('.test.ts'));
    const imports = files.flatMap((name) =>
      [...readFileSync(`${import.meta.dirname}/${name}`, 'utf8').matchAll(/from '(.+)';/g)].map(
        ([, from]) => from ?? '',
      ),
    );
    expect(imports.length).toBeGreaterThan(10);
    expect(imports.filter((from) => !from.startsWith('./'))).toEqual([]);
  });
});

function fail(error: Error): never {
  throw error;
}
