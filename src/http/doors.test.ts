import { connect } from 'node:net';
import { openStore } from 'semel/embedded';
import { describe, expect, onTestFinished, test } from 'vitest';
import { allowedOrigin } from './door.harness.ts';
import { counting, doors, DoorUnderTest, post } from './doors.harness.ts';

/** Long enough for every compression to be worth it. */
const long = { text: 'lorem ipsum '.repeat(400) };

describe.each(doors)('$name', (door) => {
  const at = new DoorUnderTest(door);

  test('createOnce hands over the values of the path, decoded, and tells requests apart by them', async () => {
    const path = '/accounts/:account/transfers/:id';
    await at.serve([{ ...post((_request, _tx, { params }) => Response.json(params)), path }]);
    const first = await at.send({ path: '/accounts/7%2F8/transfers/a%20b' });
    expect(JSON.parse(first.text)).toEqual({ account: '7/8', id: 'a b' });
    expect((await at.send({ path: '/accounts/9/transfers/a%20b' })).outcome).toBe('mismatch');
    expect((await at.send({ path: '/accounts/7%2F8/transfers/a%20b?dry=1' })).outcome).toBe('mismatch');
  });

  test('createOnce gives the handler the method, the address, the fields and the body as they came', async () => {
    const handler = async (request: Request): Promise<Response> =>
      Response.json({
        method: request.method,
        url: new URL(request.url).pathname + new URL(request.url).search,
        trace: request.headers.get('x-trace'),
        body: await request.text(),
      });
    await at.serve([{ ...post(handler), path: '/orders', method: 'PUT' }]);
    const headers = { 'x-trace': '7' };
    const { text } = await at.send({ method: 'PUT', path: '/orders?a=%20b&c', headers, body: '{ "a" : 1 }' });
    expect(JSON.parse(text)).toEqual({ method: 'PUT', url: '/orders?a=%20b&c', trace: '7', body: '{ "a" : 1 }' });
  });

  test('createOnce refuses a key that is missing, or came in two fields', async () => {
    await at.serve([post(counting(() => new Response('no')))]);
    const missing = await at.send({ key: null });
    expect([missing.status, missing.outcome]).toEqual([400, 'refused']);
    expect(missing.headers.get('content-type')).toBe('application/problem+json');
    expect(missing.text).toContain('/problems/key-missing');
    const { response, text } = await at.sendPlainly('/', { 'idempotency-key': ['k', 'k'] });
    expect([response.statusCode, text]).toEqual([400, expect.stringContaining('/problems/key-invalid')]);
    expect(await at.count()).toBeUndefined();
  });

  test.each(['application/json', 'text/plain; charset=latin1', 'application/x-www-form-urlencoded', 'image/png', ''])(
    'createOnce leaves a body of the type %j as it was sent',
    async (mediaType) => {
      const everyByte = Uint8Array.from({ length: 256 }, (_nothing, byte) => byte);
      await at.serve([post(async (request) => new Response(await request.bytes()))]);
      expect((await at.send({ body: everyByte, headers: { 'content-type': mediaType } })).bytes).toEqual(
        Buffer.from(everyByte),
      );
    },
  );

  test('createOnce tells documents apart that a parser would take for the same', async () => {
    await at.serve([post(() => new Response('a'))]);
    await at.send({ body: '{"amount":9007199254740993}' });
    expect((await at.send({ body: '{"amount":9007199254740992}' })).outcome).toBe('mismatch');
  });

  test('createOnce takes a body in pieces, its length not told beforehand, and a request without one', async () => {
    await at.serve([post(async (request) => new Response(await request.text()))]);
    const pieces = ReadableStream.from(['{"a"', ':1}'].map((piece) => new TextEncoder().encode(piece)));
    expect((await at.send({ body: pieces })).text).toBe('{"a":1}');
    const { response, text } = await at.sendPlainly('/', { 'idempotency-key': 'other' });
    expect([response.statusCode, text]).toEqual([200, '']);
  });

  test.each([
    ['its length told beforehand', () => 'x'.repeat(5_000_000)],
    ['in pieces', () => new Blob(['x'.repeat(5_000_000)]).stream()],
  ])(
    'createOnce answers a body that is too large, %s, so that a client still sending can read it',
    async (_how, make) => {
      await at.serve([
        post(
          counting(() => new Response('done')),
          { bodyBytesMax: 1_000 },
        ),
      ]);
      const { status, headers, text, outcome } = await at.send({ body: make() });
      expect([status, headers.get('content-type'), outcome]).toEqual([413, 'application/problem+json', 'refused']);
      expect(JSON.parse(text)).toMatchObject({ bodyBytesMax: 1_000 });
      expect(await at.count()).toBeUndefined();
      expect((await at.send({ body: 'small' })).outcome).toBe('executed');
    },
  );

  test('createOnce sends each cookie of the execution, and none at a replay', async () => {
    const headers = new Headers([
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
    ]);
    await at.serve([post(() => new Response('x', { headers }))]);
    expect((await at.send()).headers.getSetCookie()).toEqual(['a=1', 'b=2']);
    expect((await at.send()).headers.getSetCookie()).toEqual([]);
  });

  test('createOnce joins the fields of one name, and replays those that are kept', async () => {
    const headers = new Headers([
      ['link', '</a>; rel=next'],
      ['link', '</b>; rel=prev'],
      ['x-page', '1'],
      ['x-internal', 'secret'],
    ]);
    await at.serve([post(() => new Response('x', { headers }), { headers: ['x-page'] })]);
    for (const expected of ['executed', 'replayed']) {
      const answer = await at.send();
      expect(answer.outcome).toBe(expected);
      expect(answer.headers.get('link')).toBe('</a>; rel=next, </b>; rel=prev');
      expect([answer.headers.get('x-page'), answer.headers.get('x-internal')]).toEqual(['1', null]);
    }
  });

  test('createOnce sends the bytes that a field has, be they no ASCII, and so that Node.js decodes none of them', async () => {
    const disposition = 'attachment; filename="r\u00e9sum\u00e9 \u00c3\u00a9.pdf"';
    await at.serve([post(() => new Response('x', { headers: { 'content-disposition': disposition } }))]);
    for (const expected of ['executed', 'replayed']) {
      const answer = await at.send();
      expect([answer.outcome, answer.text]).toEqual([expected, 'x']);
      expect(answer.headers.get('content-disposition')).toBe(disposition);
    }
  });

  test.each([204, 205, 303, 304])(
    'createOnce sends and replays an answer of %i, which has fields and no body',
    async (status) => {
      const headers = { etag: '"1"', location: '/receipts/7', 'content-type': 'text/plain' };
      await at.serve([post(counting(() => new Response(null, { status, headers })))]);
      for (const expected of ['executed', 'replayed']) {
        // Not by fetch, which would follow.
        const { response, text } = await at.sendPlainly('/', { 'idempotency-key': 'k' });
        expect([response.statusCode, text, response.headers['idempotency-outcome']]).toEqual([status, '', expected]);
        expect([response.headers.etag, response.headers.location]).toEqual(['"1"', '/receipts/7']);
      }
      expect(await at.count()).toBe(1);
    },
  );

  test('createOnce serves the next request of a connection of which it refused one, be it before its body was read', async () => {
    await at.serve([post(async (request) => new Response(await request.text()), { bodyBytesMax: 100_000 })]);
    const request = (key: string, body: string, field = ''): string =>
      `POST / HTTP/1.1\r\nHost: x\r\nIdempotency-Key: ${key}\r\n${field}Content-Length: ${body.length}\r\n\r\n${body}`;
    const client = connect(at.port, '127.0.0.1');
    client.write(request('a', 'x'.repeat(100_001)) + request('no key', 'x'.repeat(100_000)));
    client.write(request('b', 'small', 'Connection: close\r\n'));
    const answers = Buffer.concat(await Array.fromAsync<Buffer>(client)).toString();
    expect([...answers.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)).toEqual(['413', '400', '200']);
    expect(answers).toMatch(/\r\n\r\nsmall$/);
  });

  test('createOnce lets GET and HEAD pass without a claim', async () => {
    let reads = 0;
    await at.serve([{ ...post(() => new Response(`${++reads}`)), method: 'GET' }]);
    await at.send({ method: 'GET' });
    const get = await at.send({ method: 'GET' });
    expect([get.text, get.outcome]).toEqual(['2', null]);
    const head = await at.send({ method: 'HEAD' });
    expect([head.status, head.bytes.length, head.outcome]).toEqual([200, 0, null]);
    expect(head.headers.get('content-type')).toBe(get.headers.get('content-type'));
    expect(reads).toBe(3);
  });

  test('createOnce answers 500 for what a handler throws or fails to return; nothing is kept, and a retry executes', async () => {
    const wrong: (() => unknown)[] = [
      () => {
        throw new Error('out of ink');
      },
      () => undefined,
      () => ({ ok: true }),
      () => new Response(ReadableStream.from(failingSource())),
    ];
    await at.serve([
      // @ts-expect-error what it returns is what is wrong with it
      post(async (_request, tx) => {
        await tx.add(['count'], 1);
        const answer = wrong.shift();
        return answer === undefined ? new Response('printed') : answer();
      }),
    ]);
    for (let times = 0; times < 4; times++) {
      const { status, headers } = await at.send();
      expect([status, headers.get('idempotent-replayed'), await at.count()]).toEqual([500, null, undefined]);
    }
    expect((await at.send()).outcome).toBe('executed');
    expect(await at.count()).toBe(1);
  });
});

async function* failingSource(): AsyncGenerator<Uint8Array> {
  yield new Uint8Array(10);
  throw new Error('the source broke');
}

test('doors on one store are one: what came in by the first is a replay at each other', async () => {
  const store = await openStore();
  onTestFinished(() => store.close());
  const everyByte = Uint8Array.from({ length: 256 }, (_nothing, byte) => byte);
  const handler = counting(async (request) => new Response(await request.bytes(), { headers: { etag: '"\u00e9"' } }));
  const route = { ...post(handler), path: '/accounts/:account/scans' };
  const fields = { 'idempotency-key': '"k"', 'content-type': 'Image/PNG; q=1', 'if-match': '"\u00e9"' };
  const seen: unknown[] = [];
  for (const door of doors) {
    const { server, close } = await door.open(store, [{ ...route, options: { fingerprintHeaders: ['if-match'] } }], {
      around: [],
      options: {},
    });
    onTestFinished(close);
    const address = server.address();
    const port = typeof address === 'object' ? address?.port : undefined;
    const url = `http://127.0.0.1:${port}/accounts/7%2F8/scans?b=%20&a=1&b=+&c`;
    const response = await fetch(url, { method: 'POST', headers: fields, body: everyByte });
    expect(await response.bytes()).toEqual(everyByte);
    seen.push([response.status, response.headers.get('idempotency-outcome'), response.headers.get('etag')]);
  }
  const replayed = [200, 'replayed', '"\u00e9"'];
  expect(seen).toEqual([[200, 'executed', '"\u00e9"'], replayed, replayed, replayed]);
  expect(await store.read((tx) => tx.get(['count']))).toBe(1);
});

describe.each(doors)('round $name', (door) => {
  const at = new DoorUnderTest(door);

  test('compression works on the first answer and on the replay, and what is kept stays plain', async () => {
    await at.serve([post(() => Response.json(long))], { around: ['compression'] });
    for (const expected of ['executed', 'replayed']) {
      const packed = await at.send({ headers: { 'accept-encoding': 'gzip' } });
      expect([packed.outcome, packed.headers.get('content-encoding')]).toEqual([expected, 'gzip']);
      expect(JSON.parse(packed.text)).toEqual(long);
      expect(packed.headers.get('vary')?.toLowerCase()).toBe('accept-encoding');
    }
    const plain = await at.send({ headers: { 'accept-encoding': 'identity' } });
    expect([plain.outcome, plain.headers.get('content-encoding')]).toEqual(['replayed', null]);
    expect(JSON.parse(plain.text)).toEqual(long);
  });

  test('compression leaves an answer alone that has an encoding of its own, an empty one and HEAD', async () => {
    const gzipped = await new Response(
      new Blob(['packed']).stream().pipeThrough(new CompressionStream('gzip')),
    ).bytes();
    const headers = { 'content-encoding': 'gzip', 'content-type': 'text/plain' };
    await at.serve(
      [
        post(() => new Response(gzipped, { headers })),
        { ...post(() => new Response(null, { status: 204 })), path: '/empty' },
        { ...post(() => Response.json(long)), path: '/long', method: 'GET' },
      ],
      { around: ['compression'] },
    );
    for (let times = 0; times < 2; times++) {
      expect((await at.send({ headers: { 'accept-encoding': 'gzip' } })).text).toBe('packed');
      expect((await at.send({ path: '/empty', key: 'e' })).status).toBe(204);
    }
    const head = await at.send({ method: 'HEAD', path: '/long', headers: { 'accept-encoding': 'gzip' } });
    expect([head.status, head.bytes.length]).toEqual([200, 0]);
  });

  test('CORS has its fields on the first answer, the replay and a refusal, and Vary says what both vary by', async () => {
    await at.serve([post(() => new Response('x', { headers: { vary: 'Accept' } }))], { around: ['cors'] });
    const preflight = await at.send({
      method: 'OPTIONS',
      key: null,
      headers: {
        origin: allowedOrigin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'idempotency-key',
      },
    });
    expect([preflight.status, preflight.headers.get('access-control-allow-headers')]).toEqual([204, 'idempotency-key']);
    for (const [key, status] of [
      ['k', 200],
      ['k', 200],
      [null, 400],
    ] as const) {
      const answer = await at.send({ key, headers: { origin: allowedOrigin } });
      expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([status, allowedOrigin]);
      const varies = (answer.headers.get('vary') ?? '')
        .split(',')
        .map((name) => name.trim())
        .sort();
      expect(varies).toEqual(key === null ? ['Origin'] : ['Accept', 'Origin']);
    }
  });

  test('middlewares have their own fields and cookies on each answer, beside those of the handler, and none is kept', async () => {
    const headers = { 'x-frame-options': 'SAMEORIGIN', 'set-cookie': 'a=1' };
    await at.serve([post(() => new Response('x', { headers }))], { around: ['fields', 'compression'] });
    const first = await at.send();
    expect([first.outcome, first.headers.get('x-frame-options')]).toEqual(['executed', 'DENY']);
    expect(first.headers.getSetCookie().sort()).toEqual(['a=1', 'seen=1']);
    const replay = await at.send();
    expect([replay.outcome, replay.headers.get('x-frame-options')]).toEqual(['replayed', 'DENY']);
    expect(replay.headers.getSetCookie()).toEqual(['seen=1']);
    const kept = await at.store.read(async (tx) => JSON.stringify(await Array.fromAsync(tx.scan({}))));
    expect(kept).not.toContain('seen');
  });
});
