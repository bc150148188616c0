import assert from 'node:assert/strict';
import type { Transaction } from 'semel';
import { openStore, type EmbeddedStore } from 'semel/embedded';
import { createOnce, type AnswerEvent, type Handler, type OnceOptions } from 'semel/http';
import { beforeEach, describe, expect, test } from 'vitest';
import { ManualWorld, until } from '../testing/manual-world.ts';

const origin = 'http://bank.example';
const hourMs = 3_600_000;

let world: ManualWorld;
let store: EmbeddedStore;
let events: AnswerEvent[];
/** How often the handler ran. */
let executions: number;

beforeEach(async () => {
  world = new ManualWorld();
  store = await openStore({ world });
  events = [];
  executions = 0;
});

function onceFor(options: Partial<OnceOptions<void>> = {}) {
  const onEvent = (event: AnswerEvent): void => void events.push(event);
  return createOnce(store, { world, scope: (request) => request.headers.get('tenant') ?? 'one', onEvent, ...options });
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

describe('createOnce', () => {
  test('createOnce executes a request once and replays its answer byte for byte', async () => {
    const handle = onceFor()(deposit);
    const first = await handle(sent('k'));
    const second = await handle(sent('k'));
    expect(outcomeOf(first)).toBe('executed');
    expect(first.headers.has('idempotent-replayed')).toBe(false);
    expect(outcomeOf(second)).toBe('replayed');
    expect(second.headers.get('idempotent-replayed')).toBe('true');
    expect(second.status).toBe(first.status);
    expect(await second.bytes()).toEqual(await first.bytes());
    expect(executions).toBe(1);
    expect(await deposits()).toBe(1);
  });

  test('createOnce tells how long the answer is kept, as an HTTP-date, and with the same words at each replay', async () => {
    const handle = onceFor({ retentionMs: 2 * hourMs })(deposit);
    const first = await handle(sent('k'));
    const due = new Date(world.now() + 2 * hourMs).toUTCString();
    expect(first.headers.get('idempotency-expires')).toBe(due);
    await world.advance(hourMs);
    expect((await handle(sent('k'))).headers.get('idempotency-expires')).toBe(due);
  });

  test('createOnce takes the quoted key for the same as the bare one', async () => {
    const handle = onceFor()(deposit);
    await handle(sent('k'));
    expect(outcomeOf(await handle(sent('"k"')))).toBe('replayed');
    expect(executions).toBe(1);
  });

  test('createOnce gives the handler a request of its own at each attempt, which it can read', async () => {
    const bodies: string[] = [];
    const handle = onceFor()(async (request, tx) => {
      bodies.push(await request.text());
      await tx.get(['rate']);
      // Somebody else changes what was read, once.
      if (bodies.length === 1) await store.transact((other) => other.set(['rate'], 2));
      tx.set(['result'], bodies.length);
      return new Response(null, { status: 204 });
    });
    expect((await handle(sent('k'))).status).toBe(204);
    expect(bodies).toEqual(['{"amount":5}', '{"amount":5}']);
  });

  test('createOnce sends nothing before the commit: a response whose stream fails takes no effect, and a retry executes', async () => {
    let failing = true;
    const handle = onceFor()(async (_request, tx) => {
      executions += 1;
      await tx.add(['deposits'], 1);
      const stream = new ReadableStream({
        pull(controller) {
          if (failing) controller.error(new Error('the source broke'));
          else controller.close();
        },
      });
      return new Response(stream);
    });
    await expect(handle(sent('k'))).rejects.toThrow('the source broke');
    expect(await deposits()).toBeUndefined();
    failing = false;
    expect(outcomeOf(await handle(sent('k')))).toBe('executed');
    expect(await deposits()).toBe(1);
  });

  test('createOnce passes on what the handler throws, keeps nothing of it, and a retry executes', async () => {
    const handle = onceFor()(async (_request, tx) => {
      executions += 1;
      await tx.add(['deposits'], 1);
      if (executions === 1) throw new RangeError('no');
      return new Response('yes');
    });
    await expect(handle(sent('k'))).rejects.toThrow(RangeError);
    expect(await deposits()).toBeUndefined();
    expect(await (await handle(sent('k'))).text()).toBe('yes');
    expect(await deposits()).toBe(1);
  });

  test('createOnce refuses at once what is no Response, and nothing takes effect', async () => {
    // @ts-expect-error a handler returns a Response; this one was written for another framework
    const handle = onceFor()(async (_request, tx) => {
      await tx.add(['deposits'], 1);
      return { ok: true };
    });
    await expect(handle(sent('k'))).rejects.toThrow(/a Response: a handler returns its answer/);
    expect(await deposits()).toBeUndefined();
  });

  test('createOnce refuses a request whose body somebody has read already', async () => {
    const handle = onceFor()(deposit);
    const request = sent('k');
    await request.text();
    await expect(handle(request)).rejects.toThrow(/the request body/);
    expect(executions).toBe(0);
  });

  test('createOnce goes on when the client has left: the effect commits and the retry replays it', async () => {
    const gate = Promise.withResolvers<void>();
    const client = new AbortController();
    let reached = false;
    const handle = onceFor()(async (request, tx, context) => {
      reached = true;
      await gate.promise;
      expect(request.signal.aborted).toBe(false);
      return deposit(request, tx, context);
    });
    const answer = handle(new Request(sent('k'), { signal: client.signal }));
    await until(() => reached);
    client.abort();
    gate.resolve();
    expect((await answer).status).toBe(201);
    expect(outcomeOf(await handle(sent('k')))).toBe('replayed');
    expect(await deposits()).toBe(1);
  });

  test('createOnce reports each answer in labels alone', async () => {
    const handle = onceFor()(deposit);
    await handle(sent('k'));
    await handle(sent('k'));
    await handle(sent('k', { body: '{}' }));
    await handle(sent(undefined));
    expect(events).toEqual([
      { outcome: 'executed', status: 201, problem: undefined },
      { outcome: 'replayed', status: 201, problem: undefined },
      { outcome: 'mismatch', status: 409, problem: 'key-reused' },
      { outcome: 'refused', status: 400, problem: 'key-missing' },
    ]);
  });
});

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

describe('what is past', () => {
  test('what is past its retention answers 410 and is not executed again; another payload still 409', async () => {
    const handle = onceFor({ retentionMs: hourMs, tombstoneMs: hourMs })(deposit);
    await handle(sent('k'));
    await world.advance(hourMs);
    const late = await handle(sent('k'));
    expect([late.status, outcomeOf(late)]).toEqual([410, 'expired']);
    expect(await problemType(late)).toBe('https://semel.dev/problems/expired');
    expect((await handle(sent('k', { body: '{}' }))).status).toBe(409);
    expect(executions).toBe(1);
  });

  test("what is past is executed again with onExpired: 'execute'", async () => {
    const handle = onceFor({ retentionMs: hourMs, onExpired: 'execute' })(deposit);
    await handle(sent('k'));
    await world.advance(hourMs);
    expect(outcomeOf(await handle(sent('k')))).toBe('executed');
  });

  test('what is cancelled before it came is refused with 409, of a type of its own', async () => {
    const once = onceFor();
    const handle = once(deposit);
    await once.operations.cancel('one', 'k');
    const response = await handle(sent('k'));
    expect([response.status, outcomeOf(response)]).toEqual([409, 'refused']);
    expect(await problemType(response)).toBe('https://semel.dev/problems/cancelled');
    expect(executions).toBe(0);
  });
});

describe('createOnce at start', () => {
  test.each<[string, object, RegExp]>([
    ['a retention below the retry horizon of the route', { retryHorizonMs: 73 * hourMs }, /retentionMs/],
    ['a key that is neither required nor optional', { key: 'sometimes' }, /key/],
    ['an unknown answer to duplicates', { onDuplicate: 'ignore' }, /onDuplicate/],
    ['accept without a place to ask', { onDuplicate: 'accept' }, /operationUrl/],
    ['a place to ask that nobody is sent to', { operationUrl: () => '/x' }, /operationUrl/],
    ['a class of statuses that is none', { keep: { '200': 'all' } }, /keep/],
    ['an unknown thing to keep', { keep: { '5xx': 'some' } }, /keep\.5xx/],
    ['Set-Cookie among the kept headers', { headers: ['Set-Cookie'] }, /set-cookie/],
    ['a header of the connection among the kept ones', { headers: ['Transfer-Encoding'] }, /transfer-encoding/],
    ['a header that is no name', { headers: ['a b'] }, /a b/],
    ['more bytes than a record can hold', { responseBytesMax: 1_000_001 }, /responseBytesMax/],
    ['a body bound that is none', { bodyBytesMax: 0 }, /bodyBytesMax/],
    ['a reference without a way to make one', { store: 'reference' }, /reference/],
    ['an unknown way to store', { store: 'bytes' }, /store/],
  ])('createOnce at start refuses %s', (_what, options, message) => {
    expect(() => onceFor()(deposit, options)).toThrow(message);
  });

  test('createOnce at start refuses an unknown profile', () => {
    // @ts-expect-error there are two
    expect(() => onceFor({ profile: 'stripe' })).toThrow(/profile/);
  });
});
