import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { serviceLimits } from './service-limits.ts';
import { problemOf, serviceUnderTest } from './service-under-test.ts';

const key = '/v1/kv/k';

describe('PUT and GET /v1/kv/{key}', () => {
  test.each([null, true, 0, -1.5e-7, '', 'é🦉\u0000', [], {}, [1, [null]], { a: { __proto__x: 1 }, '': 2 }])(
    'PUT takes the bare value %j, and GET answers it with its key and version',
    async (value) => {
      const { send } = await serviceUnderTest();
      const put = await send('PUT', key, { body: JSON.stringify(value) });
      expect(put.status).toBe(201);
      const version = JSON.parse(put.headers.get('etag') ?? 'null');
      expect(put.json).toEqual({ key: 'k', version });
      const get = await send('GET', key);
      expect(get.status).toBe(200);
      expect(get.json).toEqual({ key: 'k', value, version });
      expect(get.headers.get('etag')).toBe(put.headers.get('etag'));
      expect(get.headers.get('content-type')).toBe('application/json');
    },
  );

  test('PUT answers 201 for a new key and 200 for one that was there, each time with another version', async () => {
    const { send } = await serviceUnderTest();
    const tags = new Set<string | null>();
    for (const status of [201, 200, 200]) {
      const put = await send('PUT', key, { body: '1' });
      expect(put.status).toBe(status);
      tags.add(put.headers.get('etag'));
    }
    await send('DELETE', key);
    const again = await send('PUT', key, { body: '1' });
    expect(again.status).toBe(201);
    expect(tags.add(again.headers.get('etag')).size).toBe(4);
  });

  test.each([
    'a/b',
    '..',
    '.',
    '../a',
    '\0',
    '\u001f\u007f',
    '🦉',
    '%',
    '%25',
    '%2F',
    'a b+c',
    '?x=1',
    '#',
    'é'.repeat(512),
    '__proto__',
  ])('the key %j stays what it is', async (name) => {
    const { url } = await serviceUnderTest();
    // Not by fetch, which resolves the dots: a key is no place in a tree.
    const path = `/v1/kv/${encodeURIComponent(name)}`;
    expect(await exchange(url, 'PUT', path, JSON.stringify(name))).toMatchObject({ status: 201 });
    const get = await exchange(url, 'GET', path);
    expect(JSON.parse(get.body)).toMatchObject({ key: name, value: name });
    const list = await exchange(url, 'GET', `/v1/kv?prefix=${encodeURIComponent(name)}`);
    expect(JSON.parse(list.body)).toMatchObject({ entries: [{ key: name, value: name }] });
  });

  test.each(['/v1/kv/a/b', '/v1/kv/a%2Fb', '/v1/kv/a%2fb', '/v1/k%76/a/b'])('%s is the key a/b', async (path) => {
    const { send, put } = await serviceUnderTest();
    await put('a/b', 1);
    expect((await send('GET', path)).json).toMatchObject({ key: 'a/b', value: 1 });
  });

  test.each([
    '/v1/kv/%',
    '/v1/kv/%FF',
    '/v1/kv/%ED%A0%80',
    '/v1/kv/',
    `/v1/kv/${'a'.repeat(serviceLimits.keyBytesMax + 1)}`,
  ])('every method refuses the key of %s with 400', async (path) => {
    const { url } = await serviceUnderTest();
    for (const [method, body] of [['GET'], ['DELETE'], ['PUT', '1']] as const) {
      const refusal = await exchange(url, method, path, body);
      expect(refusal.status).toBe(400);
      expect(refusal.type).toBe('application/problem+json');
    }
  });

  test('GET of no key tells where the list is', async () => {
    const { send } = await serviceUnderTest();
    expect((await send('GET', '/v1/kv/')).text).toContain('the list is at /v1/kv');
  });

  test('a query is refused by name, where there is none to send, and consumes no Idempotency-Key', async () => {
    const { send } = await serviceUnderTest();
    const headers = { 'idempotency-key': 'one' };
    const routes = [
      ['GET', '/v1/kv/a'],
      ['PUT', '/v1/kv/a'],
      ['DELETE', '/v1/kv/a'],
      ['POST', '/v1/transactions'],
      ['GET', '/v1/operations/one'],
      ['POST', '/v1/operations/one/cancel'],
    ] as const;
    for (const [method, path] of routes) {
      const refusal = await send(method, `${path}?ttl=5`, { headers, ...(method === 'GET' ? {} : { body: '1' }) });
      expect([method, refusal.status, problemOf(refusal)]).toEqual([method, 400, 'query-invalid']);
      expect(refusal.json).toMatchObject({ parameter: 'ttl' });
    }
    expect((await send('GET', '/v1/operations/one')).status).toBe(404);
  });

  test('GET of an absent key is 404, and HEAD is GET without the body', async () => {
    const { send, put } = await serviceUnderTest();
    expect(problemOf(await send('GET', key))).toBe('kv-key-absent');
    expect((await send('HEAD', key)).status).toBe(404);
    await put('k', 1);
    const head = await send('HEAD', key);
    expect([head.status, head.text]).toEqual([200, '']);
    expect(head.headers.get('etag')).toMatch(/^"[^"]+"$/);
  });

  test.each(['{', '', '9007199254740993', '{"a":1,"a":2}', '"\\ud800"', '1e999', '01', "'a'", 'undefined', '[1,]'])(
    'PUT refuses the body %j with 400, and changes nothing',
    async (body) => {
      const { send } = await serviceUnderTest();
      expect(problemOf(await send('PUT', key, { body }))).toBe('json-invalid');
      expect((await send('GET', key)).status).toBe(404);
    },
  );

  test.each([
    { 'content-type': 'text/plain' },
    { 'content-type': 'application/json; charset=latin1' },
    { 'content-type': 'application/x-www-form-urlencoded' },
    { 'content-type': 'no type' },
    { 'content-encoding': 'gzip' },
  ])('PUT with %j is 415', async (headers) => {
    const { send } = await serviceUnderTest();
    const refusal = await send('PUT', key, { headers, body: '1' });
    expect([refusal.status, problemOf(refusal)]).toEqual([415, 'media-type-unsupported']);
  });

  test('PUT takes application/json with a charset that says UTF-8', async () => {
    const { send } = await serviceUnderTest();
    const headers = { 'content-type': 'Application/JSON; charset="UTF-8"' };
    expect((await send('PUT', key, { headers, body: '1' })).status).toBe(201);
  });

  test('PUT refuses a value above valueBytesMax with 413, which names the limit', async () => {
    const { send } = await serviceUnderTest();
    const refusal = await send('PUT', key, { body: JSON.stringify('x'.repeat(1_048_577)) });
    expect(refusal.status).toBe(413);
    expect(refusal.json).toMatchObject({ limit: 'valueBytesMax', maximum: 1_048_576 });
    const many = await send('PUT', key, { body: `[${'1,'.repeat(serviceLimits.jsonNodesMax)}1]` });
    expect([many.status, many.json]).toMatchObject([413, { limit: 'jsonNodesMax', maximum: 131_072 }]);
    const deep = await send('PUT', key, { body: '['.repeat(65) + ']'.repeat(65) });
    expect(problemOf(deep)).toBe('json-invalid');
    expect((await send('PUT', key, { body: '['.repeat(64) + ']'.repeat(64) })).status).toBe(201);
  });
});

describe('preconditions', () => {
  test('If-None-Match: * creates once, and If-Match changes what was seen, else 412', async () => {
    const { send, put } = await serviceUnderTest();
    const create = { headers: { 'if-none-match': '*' }, body: '1' };
    expect((await send('PUT', key, create)).status).toBe(201);
    expect(problemOf(await send('PUT', key, create))).toBe('precondition-failed');
    const seen = `"${await put('k', 2)}"`;
    expect((await send('PUT', key, { headers: { 'if-match': `"x", ${seen}` }, body: '3' })).status).toBe(200);
    expect((await send('PUT', key, { headers: { 'if-match': seen }, body: '4' })).status).toBe(412);
    expect((await send('DELETE', key, { headers: { 'if-match': seen } })).status).toBe(412);
    expect((await send('GET', key)).json).toMatchObject({ value: 3 });
    expect((await send('DELETE', key, { headers: { 'if-match': '*' } })).status).toBe(204);
    expect((await send('DELETE', key, { headers: { 'if-match': '*' } })).status).toBe(412);
  });

  test('GET answers 304 to the version that the client has, and 412 to If-Match of another', async () => {
    const { send, put } = await serviceUnderTest();
    const tag = `"${await put('k', 1)}"`;
    for (const have of [tag, `W/${tag}`, '*', `"x", ${tag}`]) {
      const answer = await send('GET', key, { headers: { 'if-none-match': have } });
      expect([answer.status, answer.text, answer.headers.get('etag')]).toEqual([304, '', tag]);
    }
    expect((await send('GET', key, { headers: { 'if-none-match': '"x"' } })).status).toBe(200);
    expect((await send('GET', key, { headers: { 'if-match': '"x"' } })).status).toBe(412);
    expect(problemOf(await send('GET', key, { headers: { 'if-match': 'x' } }))).toBe('precondition-invalid');
  });
});

describe('DELETE /v1/kv/{key}', () => {
  test('DELETE is 204 for a key that is there and for one that is not', async () => {
    const { send, put } = await serviceUnderTest();
    await put('k', 1);
    for (const _ of [1, 2]) expect((await send('DELETE', key)).status).toBe(204);
    expect((await send('GET', key)).status).toBe(404);
  });
});

describe('Idempotency-Key on PUT and DELETE', () => {
  test('a PUT sent twice under one key takes effect once, although another came between', async () => {
    const { send, put } = await serviceUnderTest();
    const first = { headers: { 'idempotency-key': 'one' }, body: '"first"' };
    const executed = await send('PUT', key, first);
    await put('k', 'second');
    const replayed = await send('PUT', key, first);
    expect(replayed.headers.get('idempotent-replayed')).toBe('true');
    expect([replayed.status, replayed.text]).toEqual([executed.status, executed.text]);
    expect((await send('GET', key)).json).toMatchObject({ value: 'second' });
  });

  test('a 412 under a key is kept and replayed; a refusal before execution consumes no key', async () => {
    const { send } = await serviceUnderTest();
    const headers = { 'idempotency-key': 'one' };
    expect((await send('PUT', key, { headers, body: '{' })).headers.get('idempotency-outcome')).toBe('refused');
    const conditional = { headers: { ...headers, 'if-match': '*' }, body: '1' };
    expect((await send('PUT', key, conditional)).headers.get('idempotency-outcome')).toBe('executed');
    const replayed = await send('PUT', key, conditional);
    expect([replayed.status, replayed.headers.get('idempotency-outcome')]).toEqual([412, 'replayed']);
  });

  test.each(['PUT', 'DELETE'])('a %s under another condition is another request', async (method) => {
    const { send, put } = await serviceUnderTest();
    const seen = `"${await put('k', 1)}"`;
    const conditional = (condition: Record<string, string>) => {
      const headers = { 'idempotency-key': 'one', ...condition };
      return send(method, key, { headers, ...(method === 'PUT' ? { body: '2' } : {}) });
    };
    expect((await conditional({ 'if-match': '"wrong"' })).status).toBe(412);
    for (const condition of [{ 'if-match': seen }, { 'if-none-match': seen }, {}]) {
      expect(problemOf(await conditional(condition))).toBe('key-reused');
    }
    expect((await conditional({ 'if-match': '"wrong"' })).headers.get('idempotency-outcome')).toBe('replayed');
  });

  test('a PUT and a DELETE of different keys of the map are different requests under one Idempotency-Key', async () => {
    const { send } = await serviceUnderTest();
    const headers = { 'idempotency-key': 'one' };
    expect((await send('PUT', '/v1/kv/a', { headers, body: '1' })).status).toBe(201);
    expect(problemOf(await send('PUT', '/v1/kv/b', { headers, body: '1' }))).toBe('key-reused');
    expect(problemOf(await send('DELETE', '/v1/kv/a', { headers }))).toBe('key-reused');
  });
});

describe('GET /v1/kv', () => {
  test('GET /v1/kv pages through one snapshot by the same query plus the cursor', async () => {
    const { send, put } = await serviceUnderTest();
    for (const name of ['a/1', 'a/2', 'a/3', 'b']) await put(name, name);
    const first = await send('GET', '/v1/kv?prefix=a/&limit=2');
    expect(first.json).toMatchObject({ entries: [{ key: 'a/1' }, { key: 'a/2' }] });
    await put('a/3', 'changed');
    const { cursor } = Object(first.json);
    const second = await send('GET', `/v1/kv?prefix=a/&limit=2&cursor=${cursor}`);
    expect(second.json).toMatchObject({ entries: [{ key: 'a/3', value: 'a/3' }] });
    expect(second.json).not.toHaveProperty('cursor');
    const other = await send('GET', `/v1/kv?prefix=a&limit=2&cursor=${cursor}`);
    expect([other.status, problemOf(other)]).toEqual([400, 'query-invalid']);
    const gone = await send('GET', '/v1/kv?prefix=a/&limit=2&cursor=unknown');
    expect([gone.status, problemOf(gone)]).toEqual([410, 'cursor-gone']);
  });

  test('GET /v1/kv of an empty range has no entries and no cursor', async () => {
    const { send } = await serviceUnderTest();
    expect((await send('GET', '/v1/kv')).json).toEqual({ entries: [] });
  });

  test.each([
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['limit=1e2', 'limit'],
    ['limit=', 'limit'],
    ['reverse=yes', 'reverse'],
    ['prefx=a', 'prefx'],
    ['prefix=a&prefix=b', 'prefix'],
    ['start=%FF', 'start'],
    ['end=', 'end'],
    [`start=${'a'.repeat(1_025)}`, 'start'],
  ])('GET /v1/kv?%s is refused by name', async (query, parameter) => {
    const { send } = await serviceUnderTest();
    const refusal = await send('GET', `/v1/kv?${query}`);
    expect(refusal.status).toBe(400);
    expect(refusal.json).toMatchObject({ parameter });
  });
});

interface Exchanged {
  readonly status: number | undefined;
  readonly type: string | undefined;
  readonly body: string;
}

/** By node:http, which sends a path as it is. */
function exchange(url: string, method: string, path: string, body?: string): Promise<Exchanged> {
  const { promise, resolve, reject } = Promise.withResolvers<Exchanged>();
  const { hostname, port } = new URL(url);
  const headers = body === undefined ? {} : { 'content-type': 'application/json' };
  const sent = request({ hostname, port, method, path, headers }, (response) => {
    const { statusCode: status, headers } = response;
    text(response).then((body) => resolve({ status, type: headers['content-type'], body }), reject);
  });
  sent.once('error', reject);
  sent.end(body);
  return promise;
}
