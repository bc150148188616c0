import { createFetch } from 'semel/client';
import { describe, expect, test } from 'vitest';
import { answer, FaultyServer, problem, reset, resetHalfway } from '../testing/faulty-server.harness.ts';
import { against, failure, ok, post } from './against.harness.ts';

describe('createFetch', () => {
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
});
