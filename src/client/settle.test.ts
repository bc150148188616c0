import { createFetch, type ClientOptions, type OperationUnknownError } from 'semel/client';
import { describe, expect, onTestFinished, test } from 'vitest';
import { answer, FaultyServer, reset, type Reaction } from '../testing/faulty-server.harness.ts';
import { SkippingEnvironment } from '../testing/skipping-environment.harness.ts';

async function against(reactions: readonly Reaction[], options: ClientOptions = {}) {
  const server = await FaultyServer.start(...reactions);
  onTestFinished(() => server.stop());
  const environment = new SkippingEnvironment();
  return {
    server,
    environment,
    send: createFetch({ environment, operations: `${server.url}/v1/operations/`, ...options }),
  };
}

function view(state: string, rest: object = {}): Reaction {
  return answer(200, { 'content-type': 'application/json' }, JSON.stringify({ key: 'k', state, ...rest }));
}

describe('settle', () => {
  test('settle posts to the cancel endpoint of the operation, with what it was given, and without a key of its own', async () => {
    const { server, send } = await against([view('cancelled')]);
    await send.settle('a/b?c', { headers: { authorization: 'Bearer secret' } });
    expect(server.received).toMatchObject([
      {
        method: 'POST',
        path: '/v1/operations/a%2Fb%3Fc/cancel',
        key: undefined,
        headers: { authorization: 'Bearer secret' },
      },
    ]);
  });

  test('settle asks where a function says', async () => {
    const { server } = await against([view('expired')]);
    const send = createFetch({ operations: (key) => `${server.url}/settle?key=${key}` });
    expect(await send.settle('k')).toEqual({ state: 'expired' });
    expect(server.received[0]?.path).toBe('/settle?key=k');
  });

  test.for([
    [
      view('complete', { outcome: { status: 201, mediaType: 'application/json', body: { n: 1 } } }),
      { status: 201, mediaType: 'application/json', body: { n: 1 } },
    ],
    [view('complete', { outcome: { status: 204, mediaType: null, body: null } }), { status: 204 }],
    [view('complete', { outcome: null }), undefined],
    [view('complete'), undefined],
  ] as const)('settle tells the outcome as far as the server does', async ([reaction, outcome]) => {
    const { send } = await against([reaction]);
    expect(await send.settle('k')).toEqual({ state: 'complete', outcome });
  });

  test('settle asks again after failures, and while the operation is in progress', async () => {
    const { server, send } = await against([reset, answer(503), view('in-progress'), answer(429), view('cancelled')]);
    expect(await send.settle('k')).toEqual({ state: 'cancelled' });
    expect(server.received).toHaveLength(5);
  });

  test.for([
    ['the server cannot be reached', reset, { attempts: 6, stoppedBy: 'attempts' }],
    ['the operation does not end', view('in-progress'), { attempts: 6, stoppedBy: 'attempts' }],
    ['the server is in trouble', answer(500), { attempts: 6, stoppedBy: 'attempts' }],
    ['the caller may not', answer(401), { attempts: 1, stoppedBy: 'answer' }],
    ['there is no such endpoint', answer(404), { attempts: 1, stoppedBy: 'answer' }],
    ['the answer is of something else', answer(200, {}, '<html>'), { attempts: 1, stoppedBy: 'answer' }],
    ['the answer has a state unheard of', view('pondering'), { attempts: 1, stoppedBy: 'answer' }],
    ['the answer is no document', answer(200, {}, 'null'), { attempts: 1, stoppedBy: 'answer' }],
  ] as const)('settle says that it is still unknown when %s', async ([, reaction, facts]) => {
    const { send } = await against([reaction]);
    const error = (await send.settle('k').catch((error: unknown) => error)) as OperationUnknownError;
    expect(error).toMatchObject({ code: 'unknown', effect: 'unknown', ...facts });
    expect(error.key).toBe('k');
  });

  test("settle ends at once with the caller's reason", async () => {
    const { send } = await against([view('cancelled')]);
    await expect(send.settle('k', { signal: AbortSignal.abort('enough') })).rejects.toBe('enough');
  });

  test('settle needs to know where, and refuses keys that no path can have', async () => {
    await expect(createFetch().settle('k')).rejects.toMatchObject({ code: 'invalid-argument', field: 'operations' });
    const { send } = await against([]);
    for (const key of ['', '.', '..', '\ud800']) {
      await expect(send.settle(key)).rejects.toMatchObject({ code: 'invalid-argument', field: 'key' });
    }
  });
});
