import { describe, expect, test } from 'vitest';
import { problemOf, serviceUnderTest, type Answered, type ServiceUnderTest } from './service-under-test.ts';

let sent = 0;

/** Sends a transaction under a key of its own. */
function transact({ send }: ServiceUnderTest, body: unknown, idempotencyKey = `key-${++sent}`): Promise<Answered> {
  return send('POST', '/v1/transactions', { headers: { 'idempotency-key': idempotencyKey }, body });
}

async function valueOf({ send }: ServiceUnderTest, key: string): Promise<unknown> {
  return Object((await send('GET', `/v1/kv/${key}`)).json).value;
}

describe('POST /v1/transactions', () => {
  test('a transaction checks, then changes in order, then reads what it leaves', async () => {
    const service = await serviceUnderTest();
    const version = await service.put('a', 1);
    const answer = await transact(service, {
      checks: [
        { key: 'a', version },
        { key: 'b', version: null },
      ],
      reads: ['a', 'b', 'c', 'n'],
      mutations: [
        { set: { key: 'b', value: [1] } },
        { set: { key: 'b', value: null } },
        { delete: { key: 'a' } },
        { add: { key: 'n', by: 2 } },
        { add: { key: 'n', by: 3, min: 5, max: 5 } },
      ],
    });
    expect(answer.status).toBe(200);
    const own = Object(answer.json).version;
    expect(answer.json).toEqual({
      version: own,
      reads: [
        { key: 'a', value: null, version: null },
        { key: 'b', value: null, version: own },
        { key: 'c', value: null, version: null },
        { key: 'n', value: 5, version: own },
      ],
    });
    const entry = await service.send('GET', '/v1/kv/n');
    expect(entry.json).toEqual({ key: 'n', value: 5, version: own });
  });

  test('a failed check names its index and key, changes nothing, and stays failed under its Idempotency-Key', async () => {
    const service = await serviceUnderTest();
    const version = await service.put('a', 1);
    const body = {
      checks: [
        { key: 'a', version },
        { key: 'b', version: 'never' },
      ],
      mutations: [{ set: { key: 'a', value: 2 } }],
    };
    const failed = await transact(service, body, 'one');
    expect([failed.status, problemOf(failed)]).toEqual([409, 'check-failed']);
    expect(failed.json).toMatchObject({ index: 1, key: 'b', pointer: '/checks/1' });
    expect(failed.headers.get('idempotency-outcome')).toBe('executed');
    const again = await transact(service, body, 'one');
    expect([again.status, again.text]).toEqual([409, failed.text]);
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    expect(await valueOf(service, 'a')).toBe(1);
  });

  test.each([
    [{ key: 'n', by: 1, max: 10 }, 'above-max'],
    [{ key: 'n', by: -11, min: 0 }, 'below-min'],
    [{ key: 'text', by: 1 }, 'not-addable'],
    [{ key: 'n', by: Number.MAX_SAFE_INTEGER }, 'overflow'],
  ])(
    'the addition %j is refused as %s, by index and key, and nothing of the transaction stays',
    async (add, reason) => {
      const service = await serviceUnderTest();
      await service.put('n', 10);
      await service.put('text', 'x');
      const refusal = await transact(service, { mutations: [{ set: { key: 'a', value: 1 } }, { add }] });
      expect([refusal.status, problemOf(refusal)]).toEqual([409, 'add-refused']);
      expect(refusal.json).toMatchObject({ index: 1, key: add.key, pointer: '/mutations/1', reason });
      expect(await valueOf(service, 'a')).toBeUndefined();
      expect(await valueOf(service, 'n')).toBe(10);
    },
  );

  test.each([
    [{ check: [] }, '/check'],
    [{}, ''],
    [{ checks: [], reads: [], mutations: [] }, ''],
    [[], ''],
    [null, ''],
    [{ checks: {} }, '/checks'],
    [{ checks: [{ key: 'a' }] }, '/checks/0'],
    [{ checks: [{ key: 'a', version: 1 }] }, '/checks/0/version'],
    [{ checks: [{ key: 'a', version: null, value: 1 }] }, '/checks/0/value'],
    [{ reads: ['a', 1] }, '/reads/1'],
    [{ reads: [''] }, '/reads/0'],
    [{ reads: Array.from({ length: 1_001 }, () => 'a') }, '/reads'],
    [{ mutations: [{ set: { key: 'a', value: 1 }, delete: { key: 'a' } }] }, '/mutations/0'],
    [{ mutations: [{}] }, '/mutations/0'],
    [{ mutations: [{ put: { key: 'a', value: 1 } }] }, '/mutations/0/put'],
    [{ mutations: [{ __proto__x: 1 }] }, '/mutations/0/__proto__x'],
    [{ mutations: [{ set: { key: 'a' } }] }, '/mutations/0/set'],
    [{ mutations: [{ delete: { key: 'a', version: 'x' } }] }, '/mutations/0/delete/version'],
    [{ mutations: [{ add: { key: 'a', by: 1.5 } }] }, '/mutations/0/add/by'],
    [{ mutations: [{ add: { key: 'a', by: '1' } }] }, '/mutations/0/add/by'],
    [{ mutations: [{ add: { key: 'a', by: 1, min: null } }] }, '/mutations/0/add/min'],
    [{ mutations: [{ add: { key: 'a', by: 1, min: 2, max: 1 } }] }, '/mutations/0/add/min'],
    [{ mutations: [{ 'a/b~': 1 }] }, '/mutations/0/a~1b~0'],
  ])('the transaction %j is refused at its member, and consumes no key', async (body, pointer) => {
    const service = await serviceUnderTest();
    const refusal = await transact(service, body, 'one');
    expect([refusal.status, problemOf(refusal)]).toEqual([400, 'transaction-invalid']);
    expect(refusal.json).toMatchObject({ pointer });
    expect(refusal.headers.get('idempotency-outcome')).toBe('refused');
    expect((await transact(service, { reads: ['a'] }, 'one')).status).toBe(200);
  });

  test('a number that would be rounded is refused at its member', async () => {
    const service = await serviceUnderTest();
    const refusal = await transact(service, '{"mutations":[{"set":{"key":"a","value":[9007199254740993]}}]}');
    expect([refusal.status, problemOf(refusal)]).toEqual([400, 'json-invalid']);
    expect(refusal.json).toMatchObject({ pointer: '/mutations/0/set/value/0' });
  });

  test('a transaction without an Idempotency-Key is refused', async () => {
    const { send } = await serviceUnderTest();
    const refusal = await send('POST', '/v1/transactions', { body: { reads: ['a'] } });
    expect([refusal.status, problemOf(refusal)]).toEqual([400, 'key-missing']);
  });

  test('a value too large for the store is refused with 413, consumes no key and changes nothing', async () => {
    const service = await serviceUnderTest();
    const mutations = [{ set: { key: 'a', value: 1 } }, { set: { key: 'b', value: 'x'.repeat(1_048_577) } }];
    const refusal = await transact(service, { mutations }, 'one');
    expect([refusal.status, problemOf(refusal)]).toEqual([413, 'limit-exceeded']);
    expect((await transact(service, { reads: ['a'] }, 'one')).json).toMatchObject({ reads: [{ version: null }] });
  });

  test('a transaction with more values than jsonNodesMax is refused with 413, and consumes no key', async () => {
    const service = await serviceUnderTest();
    const value = Array.from({ length: 131_073 }, () => null);
    const refusal = await transact(service, { mutations: [{ set: { key: 'a', value } }] }, 'one');
    expect([refusal.status, refusal.json]).toMatchObject([413, { limit: 'jsonNodesMax', maximum: 131_072 }]);
    expect((await transact(service, { reads: ['a'] }, 'one')).status).toBe(200);
  });

  test('reads too large for an answer that is kept are a 413 that changes nothing and consumes no key', async () => {
    const service = await serviceUnderTest();
    await service.put('a', 'x'.repeat(500_000));
    const refusal = await transact(service, { reads: ['a', 'a'], mutations: [{ set: { key: 'b', value: 1 } }] }, 'one');
    expect([refusal.status, problemOf(refusal)]).toEqual([413, 'limit-exceeded']);
    expect(refusal.json).toMatchObject({ limit: 'transactionReadsBytesMax', maximum: 900_000 });
    expect((await transact(service, { reads: ['a'] }, 'one')).status).toBe(200);
    expect(await valueOf(service, 'b')).toBeUndefined();
  });

  test('200 concurrent identical transactions have one effect and 200 equal answers', async () => {
    const service = await serviceUnderTest();
    const body = { mutations: [{ add: { key: 'n', by: 1 } }], reads: ['n'] };
    const answers = await Promise.all(Array.from({ length: 200 }, () => transact(service, body, 'one')));
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
    const outcomes = answers.map(({ headers }) => headers.get('idempotency-outcome'));
    expect(outcomes.filter((outcome) => outcome === 'executed')).toHaveLength(1);
    expect(outcomes.filter((outcome) => outcome === 'replayed')).toHaveLength(199);
    expect(await valueOf(service, 'n')).toBe(1);
  });

  test('100 concurrent transactions that add to one key under a bound stop exactly there', async () => {
    const service = await serviceUnderTest();
    const body = { mutations: [{ add: { key: 'n', by: 1, max: 60 } }] };
    const answers = await Promise.all(Array.from({ length: 100 }, () => transact(service, body)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(60);
    expect(answers.filter((answer) => problemOf(answer) === 'add-refused')).toHaveLength(40);
    expect(await valueOf(service, 'n')).toBe(60);
  });
});

describe('/v1/operations/{idempotencyKey}', () => {
  const path = '/v1/operations/one';

  test('GET tells the outcome of a complete operation, its times and its body', async () => {
    const service = await serviceUnderTest();
    const executed = await transact(service, { reads: ['a'] }, 'one');
    const seen = await service.send('GET', path);
    expect(seen.json).toEqual({
      key: 'one',
      state: 'complete',
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      completedAt: expect.any(String),
      expiresAt: expect.any(String),
      forgottenAt: null,
      outcome: { status: 200, mediaType: 'application/json', etag: null, body: executed.json },
    });
  });

  test('GET of a key that was never seen is a 404 that says so', async () => {
    const { send } = await serviceUnderTest();
    const unseen = await send('GET', path);
    expect([unseen.status, problemOf(unseen)]).toEqual([404, 'operation-not-seen']);
    expect(unseen.text).toContain('does not mean that it did not happen');
  });

  test('GET and cancel take any key that the header takes, percent-encoded, and refuse others', async () => {
    const service = await serviceUnderTest();
    const name = '!/%2F?#"\\,;~'.padEnd(255, 'x');
    const quoted = `"${name.replaceAll(/["\\]/g, String.raw`\$&`)}"`;
    await transact(service, { reads: ['a'] }, quoted);
    const seen = await service.send('GET', `/v1/operations/${encodeURIComponent(name)}`);
    expect(seen.json).toMatchObject({ key: name, state: 'complete' });
    for (const bad of ['a%20b', '%C3%A9', 'x'.repeat(256), '%00']) {
      for (const [method, rest] of [
        ['GET', ''],
        ['POST', '/cancel'],
      ] as const) {
        const refusal = await service.send(method, `/v1/operations/${bad}${rest}`);
        expect(problemOf(refusal)).toBe('operation-key-invalid');
      }
    }
  });

  test('cancel burns a key that was not seen: the request that comes later is never executed', async () => {
    const service = await serviceUnderTest();
    const cancelled = await service.send('POST', `${path}/cancel`);
    expect([cancelled.status, cancelled.json]).toMatchObject([200, { state: 'cancelled', outcome: null }]);
    expect(cancelled.json).toMatchObject({ expiresAt: null, forgottenAt: expect.stringMatching(/^\d{4}-/) });
    const late = await transact(service, { mutations: [{ set: { key: 'a', value: 1 } }] }, 'one');
    expect([late.status, problemOf(late)]).toEqual([409, 'cancelled']);
    expect(await valueOf(service, 'a')).toBeUndefined();
    expect((await service.send('GET', path)).json).toMatchObject({ state: 'cancelled' });
  });

  test('cancel of a complete operation returns its outcome and changes nothing', async () => {
    const service = await serviceUnderTest();
    await transact(service, { mutations: [{ set: { key: 'a', value: 1 } }] }, 'one');
    const settled = await service.send('POST', `${path}/cancel`);
    expect(settled.json).toMatchObject({ state: 'complete', outcome: { status: 200 } });
    expect(await valueOf(service, 'a')).toBe(1);
  });

  test('a DELETE without a body shows as an outcome without one', async () => {
    const service = await serviceUnderTest();
    await service.send('DELETE', '/v1/kv/a', { headers: { 'idempotency-key': 'one' } });
    expect((await service.send('GET', path)).json).toMatchObject({ outcome: { status: 204, body: null } });
  });
});
