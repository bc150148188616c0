import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { limits, type Store } from 'semel';
import { openStore, type EmbeddedStore, type OpenOptions } from 'semel/embedded';
import { ManualWorld, SimulatedDisk, until } from 'semel/testing';
import { describe, expect, test } from 'vitest';
import { openapi } from './openapi.ts';
import { problemOf, serviceUnderTest } from './service-under-test.ts';

describe('what there is not', () => {
  test.each(['/', '/v1', '/v1/', '/v2/kv', '/v1/transactions/', '/V1/kv', '/docs/nothing', '//'])(
    'GET %s is a problem, 404',
    async (path) => {
      const { send } = await serviceUnderTest();
      const answer = await send('GET', path);
      expect([answer.status, problemOf(answer)]).toEqual([404, 'route-unknown']);
      expect(answer.headers.get('content-type')).toBe('application/problem+json');
    },
  );

  test.each([
    ['POST', '/v1/kv/a', 'DELETE, GET, HEAD, PUT'],
    ['PATCH', '/v1/kv', 'GET, HEAD'],
    ['OPTIONS', '/v1/kv', 'GET, HEAD'],
    ['GET', '/v1/transactions', 'POST'],
    ['DELETE', '/v1/operations/a', 'GET, HEAD'],
    ['GET', '/v1/operations/a/cancel', 'POST'],
    ['PROPFIND', '/v1/kv/a', 'DELETE, GET, HEAD, PUT'],
  ])('%s %s is a problem, 405, that names what is allowed', async (method, path, allow) => {
    const { send } = await serviceUnderTest();
    const answer = await send(method, path);
    expect([answer.status, problemOf(answer), answer.headers.get('allow')]).toEqual([405, 'method-not-allowed', allow]);
  });

  test.each([
    ['GET / HTTP/1.1\r\nhost: localhost\r\nx: '.padEnd(40_000, 'x'), '431', 'head-too-large'],
    ['nonsense\r\n\r\n', '400', 'request-malformed'],
    ['POST /v1/transactions HTTP/1.1\r\nhost: localhost\r\ncontent-length: x\r\n\r\n', '400', 'request-malformed'],
    ['GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n', '400', 'request-malformed'],
    ['GET /healthz HTTP/1.1\r\nhost: localhost\r\nhost: x\r\nconnection: close\r\n\r\n', '400', 'request-malformed'],
    [
      'GET /healthz HTTP/1.1\r\nhost: localhost\r\nexpect: tea\r\nconnection: close\r\n\r\n',
      '417',
      'expectation-failed',
    ],
    ['GET /v1/kv/%zz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n', '400', 'request-malformed'],
  ])('bytes that are no request get a problem as well: %#', async (bytes, status, name) => {
    const { url } = await serviceUnderTest();
    const answer = await exchangeBytes(url, bytes);
    expect(answer.slice(0, 12)).toBe(`HTTP/1.1 ${status}`);
    expect(answer).toContain('application/problem+json');
    expect(answer).toContain(`problems/${name}"`);
  });

  test.each([
    ['http://localhost/v1/kv', '405', 'method-not-allowed'],
    ['http://localhost/nothing', '404', 'route-unknown'],
  ])('PATCH %s, in the absolute form, is %s as well', async (target, status, name) => {
    const { url } = await serviceUnderTest();
    const answer = await exchangeBytes(url, `PATCH ${target} HTTP/1.1\r\nhost: other\r\nconnection: close\r\n\r\n`);
    expect([answer.slice(0, 12), answer.includes(`problems/${name}"`)]).toEqual([`HTTP/1.1 ${status}`, true]);
  });

  test('a client that closes its half behind the request gets its answer', async () => {
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    let holds = false;
    const disk = new SimulatedDisk({
      seed: 1,
      pause: (operation) => (holds && operation === 'sync' ? released : Promise.resolve()),
    });
    const { url } = await serviceUnderTest({ disk });
    const head =
      'PUT /v1/kv/a HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 1\r\n\r\n';
    holds = true;
    const seen = requestSeen();
    const answer = exchangeBytes(url, `${head}1`);
    const { socket } = await seen;
    await once(socket, 'end');
    release();
    expect(await answer).toMatch(/^HTTP\/1\.1 201 /);
    // Amid a request, the end of it is no answer's beginning.
    expect(await exchangeBytes(url, head)).toMatch(/^HTTP\/1\.1 400 [^]*problems\/request-malformed"/);
  });
});

function exchangeBytes(url: string, bytes: string): Promise<string> {
  return text(connect(Number(new URL(url).port), '127.0.0.1').end(bytes));
}

describe('the log', () => {
  test('the log calls it no error that a client left amid its body, or was too slow and got its 408', async () => {
    const { url, log } = await serviceUnderTest();
    const head = 'PUT /v1/kv/a HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n';
    const cut = (): number => log.filter((line) => line.includes('"ECONNRESET"')).length;

    const leaving = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => undefined);
    leaving.write(head);
    await once(leaving, 'data');
    leaving.resetAndDestroy();
    await until(() => cut() === 1);

    const slow = connect(Number(new URL(url).port), '127.0.0.1');
    const seen = requestSeen();
    slow.write(head);
    await once(slow, 'data');
    const { server, socket } = await seen;
    // As Node.js tells it after `requestTimeout`, for which it looks every 30 s.
    server.emit('clientError', Object.assign(new Error('too slow'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }), socket);
    expect(await text(slow)).toMatch(/^HTTP\/1\.1 408 [^]*problems\/request-too-slow"/);
    await until(() => cut() === 2);
    expect(log.filter((line) => line.includes('"level":"error"'))).toEqual([]);
  });

  test('the log has the route’s pattern, and no key, value, tenant or secret', async () => {
    const { send, log, disk } = await serviceUnderTest();
    const headers = { 'idempotency-key': 'SECRET-0', authorization: 'Bearer SECRET-1' };
    await send('PUT', '/v1/kv/SECRET-2', { headers, body: '"SECRET-4"' });
    await send('PUT', '/v1/kv/SECRET-2', { headers, body: 'SECRET-5' });
    await send('GET', '/v1/kv?prefix=SECRET-6&limit=x&SECRET-3');
    await send('GET', '/SECRET-7');
    await send('GET', '/v1/kv/SECRET-%');
    disk.failSync(disk.syncs + 1);
    await send('PUT', '/v1/kv/SECRET-8', { body: '"SECRET-9"' });
    await send('PUT', '/v1/kv/SECRET-8', { body: '"SECRET-9"' });
    const lines = log.map((line): Record<string, unknown> => JSON.parse(line));
    expect(lines.some(({ route }) => route === '/v1/kv/*')).toBe(true);
    expect(lines.some(({ level }) => level === 'error')).toBe(true);
    expect(new Set(lines.map(({ level }) => level))).toEqual(new Set(['info', 'debug', 'error']));
    expect(log.join('')).not.toContain('SECRET');
  });
});

/** The next request that any server of this process begins to read. */
function requestSeen(): Promise<{ readonly server: Server; readonly socket: Socket }> {
  return new Promise((resolve) => {
    const onStart = (message: unknown): void => {
      unsubscribe('http.server.request.start', onStart);
      resolve(message as { server: Server; socket: Socket });
    };
    subscribe('http.server.request.start', onStart);
  });
}

describe('/healthz and /readyz', () => {
  test('/readyz is 503 once a sync has failed: writes are refused, reads go on', async () => {
    const { send, disk, put } = await serviceUnderTest();
    await put('a', 1);
    expect((await send('GET', '/readyz')).status).toBe(200);
    disk.failSync(disk.syncs + 1);
    const headers = { 'idempotency-key': 'one' };
    const unknown = await send('PUT', '/v1/kv/a', { headers, body: '2' });
    expect([unknown.status, problemOf(unknown)]).toEqual([503, 'commit-unknown']);
    const poisoned = await send('PUT', '/v1/kv/a', { body: '3' });
    expect([poisoned.status, problemOf(poisoned)]).toEqual([503, 'poisoned']);
    expect(problemOf(await send('GET', '/readyz'))).toBe('poisoned');
    expect((await send('GET', '/healthz')).status).toBe(200);
    expect((await send('GET', '/v1/kv/a')).json).toMatchObject({ value: 1 });
    expect((await send('GET', '/metrics')).text).toContain('semel_store_poisoned 1');
  });
});

describe('contended', () => {
  test('a PUT of a key that another transaction locks for long is 503 contended: it executed nothing, and may be sent again', async () => {
    const world = new ManualWorld();
    const stores: EmbeddedStore[] = [];
    const opening = async (options: OpenOptions): Promise<EmbeddedStore> => {
      const store = await openStore(options);
      stores.push(store);
      return store;
    };
    const { send } = await serviceUnderTest({ world, openStore: opening });
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    let holds = false;
    const holder = stores[0]?.transact(async (tx) => {
      await tx.lock(['kv', 'default', 'a']);
      holds = true;
      await released;
    });
    await until(() => holds);
    const timers = world.timers;
    const put = send('PUT', '/v1/kv/a', { body: '1' });
    await until(() => world.timers >= timers + 2);
    await world.advance(limits.lockTimeoutMs);
    const refusal = await put;
    release();
    await holder;
    expect([refusal.status, problemOf(refusal), refusal.headers.get('retry-after')]).toEqual([503, 'contended', '1']);
    expect(refusal.text).toContain('this request executed nothing');
    expect((await send('PUT', '/v1/kv/a', { body: '1' })).status).toBe(201);
  });
});

describe('/metrics', () => {
  test('/metrics counts outcomes, duplicates, syncs and what was recovered', async () => {
    const { send } = await serviceUnderTest();
    const transaction = { headers: { 'idempotency-key': 'one' }, body: { reads: ['a'] } };
    for (const _ of [1, 2, 3, 4]) await send('POST', '/v1/transactions', transaction);
    await send('POST', '/v1/transactions', { ...transaction, body: { reads: ['b'] } });
    const { text, headers } = await send('GET', '/metrics');
    expect(headers.get('content-type')).toContain('text/plain');
    for (const line of [
      'semel_operations_total{outcome="executed"} 1',
      'semel_operations_total{outcome="replayed"} 3',
      'semel_operations_total{outcome="mismatch"} 1',
      'semel_operations_total{outcome="expired"} 0',
      'semel_duplicates_suppressed_total 4',
      'semel_duplicate_suppression_ratio 0.8',
      'semel_operations_in_flight 0',
      'semel_store_conflicts_total 0',
      'semel_store_retries_total{fault="conflict"} 0',
      'semel_store_recovered_entries 0',
      'semel_store_recovered_torn_bytes 0',
      'semel_http_request_seconds_count{method="POST",route="/v1/transactions",status="409"} 1',
    ]) {
      expect(text).toContain(`${line}\n`);
    }
    expect(text).toMatch(/semel_store_batch_entries_count [1-9]/);
    expect(text).toMatch(/semel_store_sync_seconds_sum \d/);
    expect(text).toMatch(/semel_store_recovery_seconds \d/);
  });

  test('/metrics has base units only, and _total on what only rises', async () => {
    const { send } = await serviceUnderTest();
    const { text } = await send('GET', '/metrics');
    expect(text).not.toMatch(/_(ms|kb|mb)\b|millisecond/);
    for (const [, name = '', type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
      expect([name, name.endsWith('_total')]).toEqual([name, type === 'counter']);
    }
  });

  test('/metrics counts the conflict, too, that fails a request with contended', async () => {
    const { send } = await serviceUnderTest({
      async openStore(options) {
        const store = await openStore(options);
        const interfered: Store['transact'] = (body, bounds) =>
          store.transact(
            async (tx) => {
              const result = await body(tx);
              await store.transact((other) => other.set(['kv', 'default', 'a'], 1));
              return result;
            },
            { ...bounds, attemptsMax: 1 },
          );
        return {
          isRemote: store.isRemote,
          transact: interfered,
          read: store.read.bind(store),
          status: () => store.status(),
          checkpoint: () => store.checkpoint(),
          backup: store.backup.bind(store),
          close: () => store.close(),
        };
      },
    });
    const transaction = { reads: ['a'], mutations: [{ set: { key: 'b', value: 1 } }] };
    const refusal = await send('POST', '/v1/transactions', {
      headers: { 'idempotency-key': 'one' },
      body: transaction,
    });
    expect([refusal.status, problemOf(refusal)]).toEqual([503, 'contended']);
    expect((await send('GET', '/v1/kv/b')).status).toBe(404);
    expect((await send('GET', '/metrics')).text).toContain('semel_store_conflicts_total 1\n');
  });
});

describe('/openapi.json and /docs', () => {
  test('/openapi.json describes every route that there is, and no other', async () => {
    const { send } = await serviceUnderTest();
    const { json } = await send('GET', '/openapi.json');
    expect(json).toEqual(JSON.parse(JSON.stringify(openapi())));
    for (const [template, item] of Object.entries(openapi().paths)) {
      const path = template.replace(/\{.*?\}/, 'x');
      const described = ['get', 'put', 'post', 'delete'].filter((method) => method in item);
      const allowed = await send('PROPFIND', path);
      const methods = allowed.headers.get('allow')?.toLowerCase().split(', ');
      expect(methods?.filter((method) => method !== 'head')).toEqual(described.toSorted());
    }
  });

  test('/docs is a page that needs nothing from anywhere else', async () => {
    const { send } = await serviceUnderTest();
    const page = await send('GET', '/docs');
    expect(page.status).toBe(200);
    const script = await send('GET', '/docs/static/swagger-initializer.js');
    const sources = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, source]) => source ?? '');
    expect(sources.length).toBeGreaterThan(3);
    for (const source of sources) {
      expect(source).not.toMatch(/^(https?:)?\/\//);
      expect((await send('GET', `/docs/${source.replace(/^\.\//, '').replace(/^\/docs\//, '')}`)).status).toBe(200);
    }
    expect(script.text).not.toMatch(/validator\.swagger\.io/);
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'");
  });
});
