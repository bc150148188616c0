import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { serviceUnderTest } from './service-under-test.ts';

test('the service answers whatever is sent, and never with 500', async () => {
  const { send } = await serviceUnderTest();
  const method = fc.constantFrom('GET', 'PUT', 'POST', 'DELETE', 'PATCH');
  const part = fc.oneof(
    fc.constantFrom(
      'v1',
      'kv',
      'transactions',
      'operations',
      'cancel',
      '',
      '%',
      '%00',
      '%ff',
      '..',
      '?',
      '&',
      '=',
      'cursor=',
      'limit=',
      'prefix=',
    ),
    fc.string({ unit: 'binary', maxLength: 5 }).map((text) => encodeURIComponent(text)),
  );
  const path = fc.oneof(
    fc.array(part, { maxLength: 6 }).map((parts) => `/${parts.join('/')}`),
    fc.array(part, { maxLength: 4 }).map((parts) => `/v1/kv?${parts.join('')}`),
    fc.constantFrom('/v1/kv/a', '/v1/transactions', '/v1/kv'),
  );
  const mutation = fc.record({ set: fc.anything(), add: fc.anything(), key: fc.anything() }, { requiredKeys: [] });
  const transaction = fc.record(
    { checks: fc.array(fc.anything()), reads: fc.array(fc.string()), mutations: fc.array(mutation) },
    { requiredKeys: [] },
  );
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 30 }),
    fc.json(),
    transaction.map((value) => fc.stringify(value)),
    transaction.map((value) => JSON.stringify(value, (_, member) => (typeof member === 'bigint' ? 1 : member)) ?? ''),
  );
  const visible = fc.string({ maxLength: 12 });
  const headers = fc.record(
    { 'idempotency-key': visible, 'if-match': visible, 'if-none-match': visible, 'content-type': visible },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(method, path, headers, body, async (method, path, given, body) => {
      const headers = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, value.trim()]));
      const { status } = await send(method, path, { headers, ...(method === 'GET' ? {} : { body }) });
      expect(status).toBeLessThan(500);
    }),
    { numRuns: 2_000 },
  );
});
