import { createFetch, type OperationUnknownError } from 'semel/client';
import { expect, test } from 'vitest';
import { serviceUnderTest } from './service-under-test.ts';

const transaction = {
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: '{"mutations":[{"add":{"key":"count","by":1}}],"reads":["count"]}',
};

test('semel/client settles with the service what it lost the answers of: the outcome, with its document', async () => {
  const { url, send } = await serviceUnderTest();
  const client = createFetch({
    operations: `${url}/v1/operations`,
    attemptsMax: 2,
    pauseMs: 0,
    async fetch(request) {
      const response = await fetch(request);
      if (request.url.endsWith('/transactions')) throw new TypeError('the answer is lost');
      return response;
    },
  });
  const error = (await client(`${url}/v1/transactions`, transaction).catch(
    (error: unknown) => error,
  )) as OperationUnknownError;
  expect(error).toMatchObject({ code: 'unknown', effect: 'unknown', attempts: 2 });
  expect(await client.settle(error.key)).toEqual({
    state: 'complete',
    outcome: {
      status: 200,
      mediaType: 'application/json',
      body: { version: expect.any(String), reads: [{ key: 'count', value: 1, version: expect.any(String) }] },
    },
  });
  expect((await send('GET', '/v1/kv/count')).json).toMatchObject({ value: 1 });
});

test('semel/client burns with the service the key of what never arrived', async () => {
  const { url, send } = await serviceUnderTest();
  const client = createFetch({ operations: `${url}/v1/operations` });
  expect(await client.settle('order-42')).toEqual({ state: 'cancelled' });
  const headers = { ...transaction.headers, 'idempotency-key': 'order-42' };
  const late = await client(`${url}/v1/transactions`, { ...transaction, headers });
  expect([late.status, await late.json()]).toEqual([
    409,
    expect.objectContaining({ type: 'https://semel.dev/problems/cancelled' }),
  ]);
  expect((await send('GET', '/v1/kv/count')).status).toBe(404);
});
