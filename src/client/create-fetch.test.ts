import { readFileSync, readdirSync } from 'node:fs';
import { createFetch } from 'semel/client';
import { describe, expect, test } from 'vitest';
import { answer, hang, problem, reset, resetHalfway, type Reaction } from '../testing/faulty-server.harness.ts';
import { until } from '../testing/manual-world.ts';
import { against, failure, ok, post } from './against.harness.ts';
import { defaults } from './create-fetch.ts';

const uuidV7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

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
    const files = readdirSync(import.meta.dirname).filter((name) => !/\.(test|harness)\.ts$/.test(name));
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
