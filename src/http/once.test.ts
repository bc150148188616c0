import assert from 'node:assert/strict';
import type { Transaction } from 'semel';
import { openStore, type EmbeddedStore } from 'semel/embedded';
import { createOnce, type AnswerEvent, type Handler, type OnceOptions } from 'semel/http';
import { beforeEach, describe, expect, test } from 'vitest';
import { ManualWorld, until } from '../testing/manual-world.ts';
import { SimulatedDisk } from '../testing/simulated-disk.ts';

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
    expect(events).toEqual([{ outcome: 'refused', status: undefined, problem: undefined }]);
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

  test('createOnce refuses a response whose body the handler has read itself, rather than keep an empty one', async () => {
    const handle = onceFor()(async (_request, tx) => {
      await tx.add(['deposits'], 1);
      const response = new Response('logged');
      await response.text();
      return response;
    });
    await expect(handle(sent('k'))).rejects.toThrow(/nobody has read yet/);
    expect(await deposits()).toBeUndefined();
  });

  test('createOnce refuses the response that stands for a network error', async () => {
    await expect(onceFor()(() => Response.error())(sent('k'))).rejects.toThrow(/the status is 0/);
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

  test('createOnce answers as if nothing were when its observer throws', async () => {
    const onEvent = (): never => {
      throw new Error('no room for metrics');
    };
    expect((await onceFor({ onEvent })(deposit)(sent('k'))).status).toBe(201);
  });
});

describe('createOnce on a disk', () => {
  test('createOnce on a disk replays over a restart, byte for byte', async () => {
    const disk = new SimulatedDisk({ seed: 1 });
    store = await openStore({ world, disk });
    const first = await onceFor()(deposit)(sent('k'));
    store = await openStore({ world, disk: disk.kill() });
    const second = await onceFor()(deposit)(sent('k'));
    expect(outcomeOf(second)).toBe('replayed');
    expect(await second.bytes()).toEqual(await first.bytes());
    expect(executions).toBe(1);
  });

  test('createOnce on a disk that fails in the commit answers 503, and whatever happened, the retry settles it', async () => {
    const disk = new SimulatedDisk({ seed: 1 });
    store = await openStore({ world, disk });
    const handle = onceFor()(deposit, { key: 'optional' });
    disk.failSync(disk.syncs + 1);
    const unknown = await handle(sent('k'));
    expect([unknown.status, outcomeOf(unknown), unknown.headers.get('retry-after')]).toEqual([503, 'refused', '1']);
    expect(await problemType(unknown)).toBe('https://semel.dev/problems/commit-unknown');
    store = await openStore({ world, disk: disk.crash() });
    const retry = await onceFor()(deposit)(sent('k'));
    expect(retry.status).toBe(201);
    expect(await deposits()).toBe(1);
  });

  test('createOnce on a disk that fails in the commit of a request without a key leaves the retry to the client', async () => {
    const disk = new SimulatedDisk({ seed: 1 });
    store = await openStore({ world, disk });
    const handle = onceFor()(deposit, { key: 'optional' });
    disk.failSync(disk.syncs + 1);
    const unknown = await handle(sent(undefined));
    expect([unknown.status, outcomeOf(unknown), unknown.headers.get('retry-after')]).toEqual([503, null, null]);
    expect(await problemType(unknown)).toBe('https://semel.dev/problems/commit-unknown');
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
