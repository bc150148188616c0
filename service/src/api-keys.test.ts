import { realWorld } from 'semel';
import { describe, expect, test } from 'vitest';
import { apiKeysOf, makeApiKey } from './api-keys.ts';
import { problemOf, serviceUnderTest } from './service-under-test.ts';

const acmeOld = makeApiKey('acme', realWorld);
const acmeNew = makeApiKey('acme', realWorld);
const other = makeApiKey('other', realWorld);
const entries = [acmeOld.entry, acmeNew.entry, other.entry];

function bearer({ apiKey }: { readonly apiKey: string }): Record<string, string> {
  return { authorization: `Bearer ${apiKey}` };
}

describe('makeApiKey', () => {
  test('makeApiKey makes a key of 256 random bits, and an entry from which it cannot be read', () => {
    expect(acmeOld.apiKey).toMatch(/^semel_[\w-]{43}$/);
    expect(acmeOld.entry).toEqual({ tenant: 'acme', sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(acmeNew.apiKey).not.toBe(acmeOld.apiKey);
  });
});

describe('apiKeysOf', () => {
  test('apiKeysOf knows every live key of a tenant, and no other', () => {
    const apiKeys = apiKeysOf(entries);
    expect(apiKeys.tenantOf(acmeOld.apiKey)).toBe('acme');
    expect(apiKeys.tenantOf(acmeNew.apiKey)).toBe('acme');
    expect(apiKeys.tenantOf(other.apiKey)).toBe('other');
    for (const wrong of ['', 'x', acmeOld.entry.sha256, acmeOld.apiKey.slice(0, -1), `${acmeOld.apiKey} `]) {
      expect(apiKeys.tenantOf(wrong)).toBeUndefined();
    }
  });
});

describe('identifyCallers', () => {
  test('without a valid key every data route and /metrics is 401, whatever the body', async () => {
    const { send } = await serviceUnderTest({ apiKeys: entries });
    const routes = [
      ['GET', '/v1/kv/a'],
      ['PUT', '/v1/kv/a'],
      ['DELETE', '/v1/kv/a'],
      ['GET', '/v1/kv'],
      ['POST', '/v1/transactions'],
      ['GET', '/v1/operations/a'],
      ['POST', '/v1/operations/a/cancel'],
      ['GET', '/metrics'],
    ] as const;
    for (const [method, path] of routes) {
      for (const [authorization, problem, challenge] of [
        [undefined, 'api-key-missing', 'Bearer'],
        [`Basic ${acmeOld.apiKey}`, 'api-key-missing', 'Bearer'],
        ['Bearer wrong', 'api-key-unknown', 'Bearer error="invalid_token"'],
      ] as const) {
        const headers: Record<string, string> = authorization === undefined ? {} : { authorization };
        const refusal = await send(method, path, { headers, ...(method === 'PUT' ? { body: '{' } : {}) });
        expect([refusal.status, problemOf(refusal)]).toEqual([401, problem]);
        expect(refusal.headers.get('www-authenticate')).toBe(challenge);
      }
    }
    for (const open of ['/healthz', '/readyz', '/openapi.json', '/docs/'])
      expect((await send('GET', open)).status).toBe(200);
  });

  test('each tenant has keys, Idempotency-Keys, operations and cursors of its own', async () => {
    const { send } = await serviceUnderTest({ apiKeys: entries });
    const body = { mutations: [{ set: { key: 'k1', value: 'acme' } }, { set: { key: 'k2', value: 'acme' } }] };
    const headers = { ...bearer(acmeOld), 'idempotency-key': 'one' };
    expect((await send('POST', '/v1/transactions', { headers, body })).status).toBe(200);
    const { cursor } = Object((await send('GET', '/v1/kv?limit=1', { headers })).json);

    const stranger = { headers: bearer(other) };
    expect((await send('GET', '/v1/kv/k1', stranger)).status).toBe(404);
    expect((await send('GET', '/v1/kv', stranger)).json).toEqual({ entries: [] });
    expect((await send('GET', '/v1/operations/one', stranger)).status).toBe(404);
    expect((await send('GET', `/v1/kv?limit=1&cursor=${cursor}`, stranger)).status).toBe(410);
    const theirs = { headers: { ...bearer(other), 'idempotency-key': 'one' }, body: { reads: ['k1'] } };
    const executed = await send('POST', '/v1/transactions', theirs);
    expect(executed.headers.get('idempotency-outcome')).toBe('executed');
    expect(executed.json).toMatchObject({ reads: [{ version: null }] });

    const replayed = await send('POST', '/v1/transactions', {
      headers: { ...bearer(acmeNew), 'idempotency-key': 'one' },
      body,
    });
    expect(replayed.headers.get('idempotent-replayed')).toBe('true');
  });
});
