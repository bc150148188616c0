import assert from 'node:assert/strict';
import type { Transaction } from 'semel';
import { openStore, type EmbeddedStore } from 'semel/embedded';
import { createOnce, type Handler, type OnceOptions } from 'semel/http';
import { beforeEach, describe, expect, test } from 'vitest';

const origin = 'http://bank.example';

let store: EmbeddedStore;
/** How often the handler ran. */
let executions: number;

beforeEach(async () => {
  store = await openStore();
  executions = 0;
});

function onceFor(options: Partial<OnceOptions<void>> = {}) {
  return createOnce(store, { scope: (request) => request.headers.get('tenant') ?? 'one', ...options });
}

/** Counts itself in the store and out of it, and answers with what it was sent. */
const deposit: Handler<Transaction, void> = async (request, tx) => {
  executions += 1;
  await tx.add(['deposits'], 1);
  return new Response(`${executions}: ${await request.text()}`, { status: 201 });
};

interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly body?: string;
  readonly headers?: Record<string, string>;
}

function sent(
  key: string | undefined,
  { method = 'POST', path = '/deposits', body = '{"amount":5}', headers }: Sent = {},
) {
  const keyed = key === undefined ? {} : { 'idempotency-key': key };
  const withBody = method === 'GET' || method === 'HEAD' ? {} : { body };
  return new Request(origin + path, {
    method,
    headers: { 'content-type': 'application/json', ...keyed, ...headers },
    ...withBody,
  });
}

function deposits(): Promise<unknown> {
  return store.read((tx) => tx.get(['deposits']));
}

async function problemType(response: Response): Promise<string> {
  expect(response.headers.get('content-type')).toBe('application/problem+json');
  const document: unknown = await response.json();
  assert(typeof document === 'object' && document !== null && 'type' in document && 'status' in document);
  expect(document.status).toBe(response.status);
  return String(document.type);
}

function outcomeOf(response: Response): string | null {
  return response.headers.get('idempotency-outcome');
}

describe('the key', () => {
  test.each([
    ['POST', 'required', 400],
    ['PATCH', 'required', 400],
    ['POST', 'optional', 201],
    ['PATCH', 'optional', 201],
    ['PUT', 'required', 201],
    ['DELETE', 'required', 201],
    ['PUT', 'optional', 201],
    ['DELETE', 'optional', 201],
  ] as const)('the key that %s lacks on a route where it is %s: %i', async (method, key, status) => {
    const handle = onceFor()(deposit, { key });
    const response = await handle(sent(undefined, { method }));
    expect(response.status).toBe(status);
    expect(executions).toBe(status === 400 ? 0 : 1);
    if (status === 400) expect(await problemType(response)).toBe('https://semel.dev/problems/key-missing');
    else expect(outcomeOf(response)).toBeNull();
  });

  test.each(['POST', 'PATCH', 'PUT', 'DELETE'])('the key that %s bears makes it once', async (method) => {
    const handle = onceFor()(deposit);
    await handle(sent('k', { method }));
    expect(outcomeOf(await handle(sent('k', { method })))).toBe('replayed');
    expect(executions).toBe(1);
  });

  test.each(['GET', 'HEAD', 'OPTIONS'])(
    'the key that %s bears is not looked at: the handler runs, without a claim',
    async (method) => {
      const handle = onceFor()(deposit);
      await handle(sent('k', { method }));
      const second = await handle(sent('k", no key at all', { method }));
      expect(second.status).toBe(201);
      expect(outcomeOf(second)).toBeNull();
      expect(executions).toBe(2);
    },
  );

  test.each([
    ['empty', ''],
    ['empty, in quotes', '""'],
    ['a list', 'a, b'],
    ['a list of strings', '"a", "b"'],
    ['with a parameter', '"a";v=1'],
    ['too long', 'x'.repeat(256)],
    ['not ASCII', 'caf\u00e9'],
    ['with a space inside', 'a b'],
    ['with an open quote', '"a'],
  ])('the key that is %s is refused with 400 and nothing runs', async (_what, key) => {
    const response = await onceFor()(deposit)(sent(key));
    expect(response.status).toBe(400);
    expect(outcomeOf(response)).toBe('refused');
    expect(await problemType(response)).toBe('https://semel.dev/problems/key-invalid');
    expect(executions).toBe(0);
  });

  test('the key sent in two fields is refused, for which one would it be', async () => {
    const request = sent('a');
    request.headers.append('idempotency-key', 'a');
    expect((await onceFor()(deposit)(request)).status).toBe(400);
  });

  test('the key of a refused request is not consumed', async () => {
    let refusing = true;
    const guard = (): Response | undefined => (refusing ? new Response('who are you?', { status: 401 }) : undefined);
    const handle = onceFor()(deposit, { guard, bodyBytesMax: 20 });
    const unauthorised = await handle(sent('k'));
    expect([unauthorised.status, outcomeOf(unauthorised)]).toEqual([401, 'refused']);
    refusing = false;
    const tooLarge = await handle(sent('k', { body: 'x'.repeat(21) }));
    expect([tooLarge.status, await problemType(tooLarge)]).toEqual([413, 'https://semel.dev/problems/body-too-large']);
    expect(executions).toBe(0);
    expect(outcomeOf(await handle(sent('k')))).toBe('executed');
  });
});

test('a guard that answers neither a Response nor undefined is blamed by name, and nothing runs', async () => {
  // @ts-expect-error it is no answer
  const handle = onceFor()(deposit, { guard: () => null });
  await expect(handle(sent('k'))).rejects.toThrow(/what the guard returned is null.*undefined to let it pass/);
  expect(executions).toBe(0);
});

describe('the scope', () => {
  test('the scope keeps the keys of two tenants apart (defect 7: a global key space hands one tenant the answer of another)', async () => {
    const handle = onceFor()(deposit);
    const one = await handle(sent('k', { headers: { tenant: 'one' } }));
    const two = await handle(sent('k', { headers: { tenant: 'two' } }));
    expect([outcomeOf(one), outcomeOf(two)]).toEqual(['executed', 'executed']);
    expect(await two.text()).not.toBe(await one.text());
  });

  test('the scope that is empty is a fault at once, and nothing runs', async () => {
    const handle = onceFor({ scope: () => '' })(deposit);
    await expect(handle(sent('k'))).rejects.toThrow(/scope is ""/);
    expect(executions).toBe(0);
  });

  test('the scope cannot be left out', () => {
    // @ts-expect-error it is mandatory
    expect(() => createOnce(store, {})).toThrow(/scope is undefined/);
  });
});

describe('the fingerprint', () => {
  test.each<[string, Sent, string]>([
    ['another body', { body: '{"amount":6}' }, 'mismatch'],
    ['another path', { path: '/withdrawals' }, 'mismatch'],
    ['another query', { path: '/deposits?dry=1' }, 'mismatch'],
    ['another method', { method: 'PATCH' }, 'mismatch'],
    ['another media type', { headers: { 'content-type': 'text/plain' } }, 'mismatch'],
    ['the same document, spelled otherwise', { body: ' { "amount" : 5.0 } ' }, 'replayed'],
    [
      'another parameter of the media type',
      { headers: { 'content-type': 'application/json; charset=utf-8' } },
      'replayed',
    ],
    ['another header', { headers: { 'user-agent': 'retry/2' } }, 'replayed'],
  ])('the fingerprint of a request with %s', async (_what, other, outcome) => {
    const handle = onceFor()(deposit);
    await handle(sent('k'));
    expect(outcomeOf(await handle(sent('k', other)))).toBe(outcome);
    expect(executions).toBe(1);
  });

  test('the fingerprint takes of the query what the route selects', async () => {
    const handle = onceFor()(deposit, { query: ['account'] });
    await handle(sent('k', { path: '/deposits?account=1&trace=a' }));
    expect(outcomeOf(await handle(sent('k', { path: '/deposits?trace=b&account=1' })))).toBe('replayed');
    expect(outcomeOf(await handle(sent('k', { path: '/deposits?account=2&trace=a' })))).toBe('mismatch');
  });

  test('the fingerprint takes of the header fields what the route names', async () => {
    const handle = onceFor()(deposit, { fingerprintHeaders: ['If-Match', 'if-none-match'] });
    const put = (key: string, headers: Record<string, string>) => handle(sent(key, { method: 'PUT', headers }));
    await put('k', { 'if-match': '"1"', 'user-agent': 'try/1' });
    expect(outcomeOf(await put('k', { 'if-match': '"1"', 'user-agent': 'try/2' }))).toBe('replayed');
    expect(outcomeOf(await put('k', { 'if-match': '"2"' }))).toBe('mismatch');
    expect(outcomeOf(await put('k', { 'if-none-match': '"1"' }))).toBe('mismatch');
    expect(outcomeOf(await put('k', {}))).toBe('mismatch');
    expect(executions).toBe(1);
  });

  test('the fingerprint of a request without the named fields is what it was before they were named', async () => {
    await onceFor()(deposit)(sent('k'));
    const handle = onceFor()(deposit, { fingerprintHeaders: ['if-match'] });
    expect(outcomeOf(await handle(sent('k')))).toBe('replayed');
  });

  test.each(['idempotency-key', 'no name', ''])('the fingerprint cannot be made of the field %j', (name) => {
    expect(() => onceFor()(deposit, { fingerprintHeaders: [name] })).toThrow(/fingerprintHeaders/);
  });

  test('the fingerprint is never the identity (defect 8: two equal orders under two keys were one order)', async () => {
    const handle = onceFor()(deposit);
    await handle(sent('monday'));
    expect(outcomeOf(await handle(sent('tuesday')))).toBe('executed');
    expect(await deposits()).toBe(2);
  });
});

describe('a mismatch', () => {
  test('a mismatch leaves the record alone (defect 1: it overwrote the stored success)', async () => {
    const handle = onceFor()(deposit);
    const first = await (await handle(sent('k'))).text();
    const other = await handle(sent('k', { body: '{"amount":6}' }));
    expect([other.status, await problemType(other)]).toEqual([409, 'https://semel.dev/problems/key-reused']);
    const retry = await handle(sent('k'));
    expect([outcomeOf(retry), await retry.text()]).toEqual(['replayed', first]);
  });

  test("a mismatch is 422 with profile: 'ietf'", async () => {
    const handle = onceFor({ profile: 'ietf' })(deposit);
    await handle(sent('k'));
    const other = await handle(sent('k', { body: '{}' }));
    expect(other.status).toBe(422);
    expect(await problemType(other)).toBe('https://semel.dev/problems/key-reused');
  });

  test('a mismatch reveals nothing of the request that holds the key', async () => {
    const handle = onceFor()(deposit);
    await handle(sent('k', { body: '{"secret":"tell-nobody"}' }));
    const response = await handle(sent('k', { body: '{}' }));
    expect([...response.headers.keys()].sort()).toEqual(['content-type', 'idempotency-outcome']);
    expect(await response.json()).toEqual({
      type: 'https://semel.dev/problems/key-reused',
      title: expect.any(String),
      status: 409,
      detail: expect.any(String),
    });
  });
});
