import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { realWorld } from 'semel';
import { describe, expect, test } from 'vitest';
import { makeApiKey } from './api-keys.ts';
import { serviceUnderTest } from './service-under-test.ts';

interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Not by fetch, which sets `Host` and the fields of a browser itself. */
async function statusOf(url: string, { method, path, headers }: Sent): Promise<readonly [number, string]> {
  const { promise, resolve, reject } = Promise.withResolvers<readonly [number, string]>();
  request(url + path, { method, headers, agent: false }, (response) => {
    text(response).then((body) => resolve([response.statusCode ?? 0, body]), reject);
  })
    .on('error', reject)
    .end();
  return promise;
}

const cancel = { method: 'POST', path: '/v1/operations/one/cancel' };
const read = { method: 'GET', path: '/v1/kv' };

const foreign: readonly Sent[] = [
  { ...cancel, headers: { origin: 'https://evil.example' } },
  { ...cancel, headers: { origin: 'null' } },
  { ...cancel, headers: { origin: 'http://127.0.0.1.evil.example' } },
  { ...cancel, headers: { origin: 'http://localhost@evil.example' } },
  { ...cancel, headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'empty' } },
  {
    ...cancel,
    headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' },
  },
  { ...read, headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' } },
  { ...read, headers: { host: 'evil.example' } },
  { ...read, headers: { host: 'evil.example:4600' } },
  { ...read, headers: { host: '127.0.0.1.evil.example:4600' } },
  { ...read, path: '/metrics', headers: { host: 'rebound.example' } },
  { ...read, path: '/nothing', headers: { host: 'rebound.example' } },
];

const own: readonly Sent[] = [
  { ...cancel, headers: {} },
  { ...cancel, headers: { origin: 'http://localhost:3000', 'sec-fetch-site': 'same-site' } },
  { ...cancel, headers: { origin: 'http://[::1]:4600', 'sec-fetch-site': 'same-origin' } },
  { ...read, headers: { host: 'localhost' } },
  { ...read, headers: { host: 'LocalHost:4600' } },
  { ...read, headers: { host: '127.1.2.3:80' } },
  { ...read, headers: { host: '[::1]:4600' } },
  { ...read, headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' } },
  { ...read, headers: { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' } },
];

describe('refuseForeignCallers', () => {
  test.each(foreign)('refuseForeignCallers refuses %j, and says how to go on', async (sent) => {
    const { url, send } = await serviceUnderTest();
    const [status, body] = await statusOf(url, sent);
    expect(status).toBe(403);
    expect(body).toMatch(/problems\/caller-foreign".*start it with --api-keys/);
    expect((await send('GET', '/v1/operations/one')).status).toBe(404);
  });

  test.each(own)('refuseForeignCallers lets in %j', async (sent) => {
    const { url } = await serviceUnderTest();
    expect((await statusOf(url, sent))[0]).toBe(200);
  });

  test('refuseForeignCallers is not asked where there are API keys, which no website has', async () => {
    const { apiKey, entry } = makeApiKey('acme', realWorld);
    const { url } = await serviceUnderTest({ apiKeys: [entry] });
    const headers = { host: 'semel.example', origin: 'https://app.example', 'sec-fetch-site': 'cross-site' };
    expect((await statusOf(url, { ...cancel, headers }))[0]).toBe(401);
    const authorized = { ...headers, authorization: `Bearer ${apiKey}` };
    expect((await statusOf(url, { ...cancel, headers: authorized }))[0]).toBe(200);
  });
});
