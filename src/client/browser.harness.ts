import { createFetch } from './client.ts';

/*
 * The program of the page in browser.slow.test.ts: each scene is played against the server that the page comes from, at a
 * path of its own, and the page tells at the end what came of each.
 */
const send = createFetch({ pauseMs: 1, operations: '/v1/operations' });
const json = { method: 'POST', body: '{"amount":5}', headers: { 'content-type': 'application/json' } };

const scenes: Readonly<Record<string, () => Promise<unknown>>> = {
  async order() {
    const response = await send('/order', json);
    return [response.status, await response.text()];
  },
  async request() {
    const body = new FormData();
    body.append('amount', '5');
    return (await send(new Request('/request', { method: 'PUT', body }))).status;
  },
  async safe() {
    const response = await send('/safe');
    return [response.status, await response.text()];
  },
  async readBefore() {
    const request = new Request('/read-before', json);
    await request.text();
    return send(request).catch((error: unknown) => error instanceof TypeError);
  },
  async keyOfBody() {
    const keyed = createFetch({ key: async (request) => `amount-${(await request.text()).length}` });
    return (await keyed('/key-of-body', json)).status;
  },
  async hang() {
    const impatient = createFetch({ pauseMs: 1, attemptTimeoutMs: 1_000 });
    return (await impatient('/hang', json)).status;
  },
  async abort() {
    const caller = new AbortController();
    const call = send('/abort', { ...json, signal: caller.signal });
    await fetch('/abort-came');
    caller.abort('enough');
    return call.catch((reason: unknown) => reason);
  },
  async unknown() {
    const error = await send('/unknown', json).catch((error: unknown) => error as { code: string; key: string });
    if (!('key' in error)) return error;
    return [error.code, await send.settle(error.key)];
  },
};

const told = await Promise.all(
  Object.entries(scenes).map(async ([name, play]) => [name, await play().catch((error: unknown) => String(error))]),
);
await fetch('/told', { method: 'POST', body: JSON.stringify(Object.fromEntries(told)) });
