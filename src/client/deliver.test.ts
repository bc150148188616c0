import { getEventListeners } from 'node:events';
import { createFetch, type ClientOptions } from 'semel/client';
import { describe, expect, test } from 'vitest';
import { ManualWorld, turn } from '../testing/manual-world.ts';

const url = 'https://shop.test/orders';

/** Jitter at its most, so that pauses have their full length. */
class PatientWorld extends ManualWorld {
  override random(): number {
    return 1 - Number.EPSILON;
  }
}

type Answering = (request: Request, attempt: number) => Response | Promise<Response>;

/** A client whose time is moved by hand, and when each attempt of it came. */
function scene(answering: Answering, options: ClientOptions = {}, world: ManualWorld = new ManualWorld()) {
  const atMs: number[] = [];
  const send = createFetch({
    environment: world,
    async fetch(request) {
      atMs.push(Math.round(world.monotonicMs()));
      request.signal.throwIfAborted();
      return answering(request, atMs.length);
    },
    ...options,
  });
  const post = (init: RequestInit = {}) => send(url, { method: 'POST', ...init });
  return { world, atMs, send, post };
}

/** As fetch: it ends when its signal does, and not before. */
function never({ signal }: Request): Promise<Response> {
  return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
}

const busy = (headers: Readonly<Record<string, string>> = {}) => new Response(null, { status: 503, headers });
const done = () => new Response('done');

describe('a call', () => {
  test('a call pauses up to a ceiling that doubles up to its own', async () => {
    const { world, atMs, post } = scene(() => busy(), { pauseMs: 100, pauseMsMax: 500 }, new PatientWorld());
    const call = post().catch((error: unknown) => error);
    await world.advance(60_000);
    expect(await call).toMatchObject({ code: 'unknown', attempts: 6 });
    expect(atMs).toEqual([0, 100, 300, 700, 1_200, 1_700]);
  });

  test('a call may also come back at once: jitter is full', async () => {
    const { world, atMs, post } = scene(() => busy());
    const call = post().catch((error: unknown) => error);
    await world.advance(0);
    expect(await call).toMatchObject({ attempts: 6 });
    expect(new Set(atMs)).toEqual(new Set([0]));
  });

  test.for(['3', 'Thu, 01 Jan 2026 00:00:03 GMT'])(
    'a call never comes back before Retry-After: %s',
    async (retryAfter) => {
      const date = { date: 'Thu, 01 Jan 2026 00:00:00 GMT' };
      const answering: Answering = (_request, n) => (n === 1 ? busy({ 'retry-after': retryAfter, ...date }) : done());
      for (const [world, expected] of [
        [new ManualWorld(), 3_000],
        [new PatientWorld(), 3_250],
      ] as const) {
        const { atMs, post } = scene(answering, {}, world);
        const call = post();
        await world.advance(10_000);
        expect((await call).status).toBe(200);
        expect(atMs).toEqual([0, expected]);
      }
    },
  );

  test('a call that is asked to wait beyond its deadline ends at once', async () => {
    const { atMs, post } = scene(() => busy({ 'retry-after': '61' }));
    await expect(post()).rejects.toMatchObject({ code: 'unknown', attempts: 1, stoppedBy: 'deadline' });
    expect(atMs).toEqual([0]);
  });

  test('a call ends with its deadline, also in the middle of an attempt', async () => {
    const { world, atMs, post } = scene(never, { deadlineMs: 25_000 });
    const call = post().catch((error: unknown) => error);
    await world.advance(24_999);
    expect(atMs).toEqual([0, 10_000, 20_000]);
    await world.advance(1);
    expect(await call).toMatchObject({
      code: 'unknown',
      attempts: 3,
      stoppedBy: 'deadline',
      cause: expect.objectContaining({ name: 'TimeoutError' }),
    });
    expect(world.timers).toBe(0);
  });

  test('a call whose body does not come to an end by the deadline has sent nothing', async () => {
    const { world, atMs, post } = scene(done, { deadlineMs: 1_000 });
    const init: RequestInit = { body: new ReadableStream(), duplex: 'half' };
    const call = post(init).catch((error: unknown) => error);
    await world.advance(1_000);
    expect(await call).toMatchObject({
      code: 'not-sent',
      effect: 'did-not-happen',
      attempts: 0,
      stoppedBy: 'deadline',
    });
    expect(atMs).toEqual([]);
  });

  test.for([
    ['an attempt', never, 6],
    ['the last attempt', never, 1],
    ['a pause', () => busy({ 'retry-after': '10' }), 6],
  ] as const)("a call ends during %s at once with the caller's reason", async ([, answering, attemptsMax]) => {
    const { world, atMs, post } = scene(answering, { attemptsMax });
    const caller = new AbortController();
    const call = post({ signal: caller.signal });
    await turn();
    const reason = new Error('changed my mind');
    caller.abort(reason);
    await expect(call).rejects.toBe(reason);
    expect([atMs.length, world.timers]).toEqual([1, 0]);
  });

  test('a call ends an attempt also when what sends does not heed the signal, be it for time or for the caller', async () => {
    const { world, atMs, post } = scene(() => new Promise(() => undefined));
    const caller = new AbortController();
    const call = post({ signal: caller.signal });
    await world.advance(10_000);
    expect(atMs).toEqual([0, 10_000]);
    caller.abort('enough');
    await expect(call).rejects.toBe('enough');
    expect(world.timers).toBe(0);
  });

  test("a call ends while its body is read at once with the caller's reason", async () => {
    const { world, atMs, post } = scene(done);
    const caller = new AbortController();
    let cancelled = 0;
    const body = new ReadableStream({ cancel: () => void (cancelled += 1) });
    const init: RequestInit = { body, duplex: 'half', signal: caller.signal };
    const call = post(init);
    await turn();
    caller.abort();
    await expect(call).rejects.toMatchObject({ name: 'AbortError' });
    expect([atMs.length, world.timers, cancelled]).toEqual([0, 0, 1]);
  });

  test('a call with a signal that has fired asks for no key and sends nothing', async () => {
    let asked = 0;
    const { atMs, post } = scene(done, { key: () => `${++asked}` });
    await expect(post({ signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
    expect([asked, atMs.length]).toEqual([0, 0]);
  });

  test('a call ends while it waits for its key, by its deadline or with the reason of its caller', async () => {
    const { world, atMs, post } = scene(done, { key: () => new Promise(() => undefined), deadlineMs: 1_000 });
    const late = post().catch((error: unknown) => error);
    await world.advance(1_000);
    expect(await late).toMatchObject({ code: 'not-sent', attempts: 0, stoppedBy: 'deadline' });
    const caller = new AbortController();
    const unwanted = post({ signal: caller.signal });
    await turn();
    caller.abort('enough');
    await expect(unwanted).rejects.toBe('enough');
    expect([atMs.length, world.timers]).toEqual([0, 0]);
  });

  test('a call whose caller changes his mind as the key is found sends nothing, also by a fetch that heeds no signal', async () => {
    const caller = new AbortController();
    let sent = 0;
    const { post } = scene(done, {
      key() {
        caller.abort('enough');
        return 'k';
      },
      async fetch() {
        sent += 1;
        return done();
      },
    });
    await expect(post({ signal: caller.signal })).rejects.toBe('enough');
    expect(sent).toBe(0);
  });

  test("a call leaves no timer behind, and the body of its answer stays under the caller's signal", async () => {
    const endless: Answering = ({ signal }) =>
      new Response(
        new ReadableStream({
          start(controller) {
            controller.enqueue(new Uint8Array(8));
            signal.addEventListener('abort', () => controller.error(signal.reason));
          },
        }),
      );
    const { world, post } = scene(endless, { responseBytesMax: 4 });
    const caller = new AbortController();
    const response = await post({ signal: caller.signal });
    expect(world.timers).toBe(0);
    await world.advance(120_000);
    const reading = response.bytes();
    caller.abort();
    await expect(reading).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('a call lets go of the answers that it does not hand out, and of the signal of its caller', async () => {
    let cancelled = 0;
    const body = () => new ReadableStream({ cancel: () => void (cancelled += 1) });
    const answering: Answering = (_request, n) => (n < 3 ? new Response(body(), { status: 503 }) : done());
    const { world, send } = scene(answering, { responseBytesMax: 0 });
    const request = new Request(url, { method: 'POST' });
    const before = getEventListeners(request.signal, 'abort').length;
    const call = send(request);
    await world.advance(0);
    await call;
    expect(cancelled).toBe(2);
    expect(getEventListeners(request.signal, 'abort')).toHaveLength(before);
  });

  test.for(['late', 'stuck'] as const)(
    'a call lets go of an answer that comes %s from a fetch that heeds no signal',
    async (manner) => {
      let cancelled = 0;
      const body = new ReadableStream({ cancel: () => void (cancelled += 1) });
      const answered = Promise.withResolvers<Response>();
      const { world, post } = scene(() => answered.promise, { attemptsMax: 1 });
      const call = post().catch((error: unknown) => error);
      if (manner === 'stuck') answered.resolve(new Response(body));
      await world.advance(10_000);
      expect(await call).toMatchObject({ code: 'unknown' });
      if (manner === 'late') answered.resolve(new Response(body));
      await turn();
      expect(cancelled).toBe(1);
    },
  );

  test('a call sends what the request says of itself each time: method, fields, credentials, referrer', async () => {
    const seen: unknown[] = [];
    const { world, send } = scene((request, n) => {
      const { method, credentials, referrer, referrerPolicy, redirect } = request;
      seen.push({ method, credentials, referrer, referrerPolicy, redirect, type: request.headers.get('content-type') });
      return n < 3 ? busy() : done();
    });
    const request = new Request(url, {
      method: 'PUT',
      body: '{}',
      headers: { 'content-type': 'application/json' },
      credentials: 'include',
      referrerPolicy: 'no-referrer',
      redirect: 'error',
    });
    const call = send(request);
    await world.advance(0);
    await call;
    const { method, credentials, referrer, referrerPolicy, redirect } = request;
    const expected = { method, credentials, referrer, referrerPolicy, redirect, type: 'application/json' };
    expect(seen).toEqual([expected, expected, expected]);
  });

  test('a call finds the budget used up by the calls before it, and a later one finds some of it back', async () => {
    const { world, atMs, post } = scene(() => busy(), { budget: { share: 0, reserve: 7 } });
    const first = post().catch((error: unknown) => error);
    await world.advance(0);
    const second = post().catch((error: unknown) => error);
    await world.advance(0);
    expect(await first).toMatchObject({ attempts: 6, stoppedBy: 'attempts' });
    expect(await second).toMatchObject({ attempts: 3, stoppedBy: 'budget' });
    expect(atMs).toHaveLength(9);
    await world.advance(10_000);
    const third = post().catch((error: unknown) => error);
    await world.advance(0);
    expect(await third).toMatchObject({ attempts: 6 });
  });
});
