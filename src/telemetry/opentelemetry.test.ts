import { createNoopMeter, metrics, SpanKind, SpanStatusCode, trace, type Meter } from '@opentelemetry/api';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { InvalidArgumentError } from 'semel';
import { openStore } from 'semel/embedded';
import { createOnce } from 'semel/http';
import { createTelemetry } from 'semel/opentelemetry';
import { SimulatedDisk, until } from 'semel/testing';
import { constant, identityOf, OperationsFixture } from '../testing/operations-fixture.harness.ts';
import { followContexts, Sdk } from './sdk.harness.ts';

let fixture: OperationsFixture;
let sdk: Sdk;

followContexts();

beforeEach(async () => {
  fixture = await OperationsFixture.create();
  sdk = new Sdk(fixture.world);
  fixture.operations = fixture.open({ onEvent: sdk.telemetry.onOperation });
});

afterEach(() => fixture.store.close());

describe('createTelemetry makes a span', () => {
  test('of an executed operation, with the times in which it ran', async () => {
    const beganMs = fixture.world.now();
    const { finish } = await fixture.inFlight('k');
    await fixture.world.advance(250);
    await finish();
    const [span] = sdk.spans;
    expect(sdk.spans).toHaveLength(1);
    expect(span?.name).toBe('semel.operation');
    expect(span?.kind).toBe(SpanKind.INTERNAL);
    expect(span?.startTime).toEqual([beganMs / 1_000, 0]);
    expect(span?.endTime).toEqual([beganMs / 1_000, 250_000_000]);
    expect(span?.status).toEqual({ code: SpanStatusCode.UNSET });
    expect(span?.attributes).toEqual({
      'semel.operation.outcome': 'executed',
      'semel.operation.keep': 'all',
      'semel.operation.coalesced': false,
      'semel.operation.attempts': 1,
    });
    expect(span?.events).toEqual([]);
    expect(span?.links).toEqual([]);
  });

  test('of a replay, of one that waited for the execution too', async () => {
    const { finish } = await fixture.inFlight('k');
    const waiting = fixture.operations.run(identityOf('k'), constant('never'));
    await until(() => fixture.operations.waiting === 1);
    await finish();
    await waiting;
    await fixture.operations.run(identityOf('k'), constant('never'));
    const replayed = { 'semel.operation.outcome': 'replayed', 'semel.operation.attempts': 0 };
    expect(sdk.spans.map(({ attributes }) => attributes).slice(1)).toEqual([
      { ...replayed, 'semel.operation.coalesced': true },
      { ...replayed, 'semel.operation.coalesced': false },
    ]);
    expect(sdk.spans.map(({ status }) => status.code)).not.toContain(SpanStatusCode.ERROR);
  });

  test('of a mismatch, which is an answer and no error', async () => {
    await fixture.operations.run(identityOf('k'), constant('done'));
    await fixture.operations.run(identityOf('k', 'other'), constant('never'));
    expect(sdk.spans[1]?.status).toEqual({ code: SpanStatusCode.UNSET });
    expect(sdk.spans[1]?.attributes).toEqual({
      'semel.operation.outcome': 'mismatch',
      'semel.operation.coalesced': false,
      'semel.operation.attempts': 0,
    });
  });

  test('of an operation that was cancelled before, which is an answer and no error', async () => {
    await fixture.operations.cancel('acme', 'k');
    await fixture.operations.run(identityOf('k'), constant('never'));
    expect(sdk.spans[0]?.status).toEqual({ code: SpanStatusCode.UNSET });
    expect(sdk.spans[0]?.attributes).toEqual({
      'semel.operation.outcome': 'refused',
      'semel.operation.refusal_reason': 'cancelled',
      'semel.operation.coalesced': false,
      'semel.operation.attempts': 0,
    });
  });

  test('of an operation beyond its deadline, as an error', async () => {
    const run = fixture.operations.run(identityOf('k'), () => new Promise(() => undefined), { deadlineMs: 100 });
    await fixture.world.advance(100);
    await run;
    expect(sdk.spans[0]?.status).toEqual({ code: SpanStatusCode.ERROR });
    expect(sdk.spans[0]?.attributes).toEqual({
      'semel.operation.outcome': 'refused',
      'semel.operation.refusal_reason': 'deadline',
      'semel.operation.coalesced': false,
      'semel.operation.attempts': 1,
      'error.type': 'deadline',
    });
  });

  test.for([
    ['a fault of the library by its code', new InvalidArgumentError('key', 'k', 'another'), 'invalid-argument'],
    ['an error by its class', new RangeError('k'), 'RangeError'],
    ['an error by its class, whatever it calls itself', Object.assign(new TypeError(), { name: 'k' }), 'TypeError'],
    ['an error of an anonymous class', new (class extends Error {})(), '_OTHER'],
    ['what is no error', 'k', '_OTHER'],
  ] as const)('of a failure, naming %s, and nothing of its message', async ([, thrown, type]) => {
    const failing = fixture.operations.run(identityOf('k'), throwing(thrown));
    await expect(failing).rejects.toBe(thrown);
    expect(sdk.spans[0]?.status).toEqual({ code: SpanStatusCode.ERROR });
    expect(sdk.spans[0]?.events).toEqual([]);
    expect(sdk.spans[0]?.attributes).toEqual({
      'semel.operation.outcome': 'failed',
      'semel.operation.coalesced': false,
      'semel.operation.attempts': 1,
      'error.type': type,
    });
  });
});

describe('the parent of a span is the span in which the operation was asked for', () => {
  test('where it executes, and where it fails', async () => {
    await sdk.within('request 1', () => fixture.operations.run(identityOf('k'), constant('done')));
    const failing = sdk.within('request 2', () =>
      fixture.operations.run(identityOf('other'), () => Promise.reject(new Error('no'))),
    );
    await expect(failing).rejects.toThrow('no');
    expect(sdk.parents()).toEqual(['executed in request 1', 'failed in request 2']);
  });

  test('where it waited for another, and got its outcome, lost patience or was aborted', async () => {
    const stop = new AbortController();
    const waits = [
      ['shares', {}],
      ['gives up', { waitMs: 5 }],
      ['is aborted', { signal: stop.signal }],
    ] as const;
    const { finish } = await sdk.within('owns', () => fixture.inFlight('k'));
    const waiting = waits.map(([name, options]) =>
      sdk.within(name, () => fixture.operations.run(identityOf('k'), constant('never'), options)),
    );
    await until(() => fixture.operations.waiting === 3);
    await fixture.world.advance(5);
    stop.abort();
    await finish();
    await Promise.allSettled(waiting);
    expect(sdk.parents().toSorted()).toEqual([
      'executed in owns',
      'failed in is aborted',
      'in-progress in gives up',
      'replayed in shares',
    ]);
  });

  test('where it inherits an execution that left nothing', async () => {
    const { finish } = await sdk.within('owns', () => fixture.inFlight('k', 'nothing'));
    const heir = sdk.within('inherits', () => fixture.operations.run(identityOf('k'), constant('done')));
    await until(() => fixture.operations.waiting === 1);
    await finish();
    await heir;
    expect(sdk.parents()).toEqual(['executed in owns', 'executed in inherits']);
  });

  test('behind a door of HTTP, through `onOperation`', async () => {
    const { world, store } = fixture;
    const once = createOnce(store, { world, scope: () => 'acme', onOperation: sdk.telemetry.onOperation });
    const handler = once(async () => new Response('done'));
    const request = (): Request =>
      new Request('http://localhost/', { method: 'POST', headers: { 'idempotency-key': 'k' }, body: 'secret' });
    await sdk.within('request 1', () => handler(request()));
    await sdk.within('request 2', () => handler(request()));
    expect(sdk.parents()).toEqual(['executed in request 1', 'replayed in request 2']);
    expect(JSON.stringify(sdk.spans.map(({ attributes }) => attributes))).not.toMatch(/acme|secret/);
  });

  test('and without one it has none', async () => {
    await fixture.operations.run(identityOf('k'), constant('done'));
    expect(sdk.spans[0]?.parentSpanContext).toBeUndefined();
  });
});

describe('createTelemetry without options', () => {
  test('does nothing where no SDK is registered, and changes no outcome', async () => {
    const telemetry = createTelemetry();
    const operations = fixture.open({ onEvent: telemetry.onOperation });
    const store = await openStore({ disk: new SimulatedDisk({ seed: 1 }), onEvent: telemetry.onStoreEvent });
    await store.transact((tx) => tx.set(['n'], 1));
    await store.close();
    expect(await operations.run(identityOf('k'), constant('done'))).toMatchObject({ outcome: 'executed' });
    expect(await operations.run(identityOf('k'), constant('never'))).toMatchObject({ outcome: 'replayed' });
  });

  test('uses the SDK that is registered, under the name `semel`', async () => {
    trace.setGlobalTracerProvider(sdk.tracerProvider);
    metrics.setGlobalMeterProvider(sdk.meterProvider);
    try {
      const operations = fixture.open({ onEvent: createTelemetry().onOperation });
      await operations.run(identityOf('k'), constant('done'));
      expect(sdk.spans.map(({ instrumentationScope }) => instrumentationScope.name)).toEqual(['semel']);
      expect(Object.keys(await sdk.measured())).toContain('semel.operation.duration s');
    } finally {
      trace.disable();
      metrics.disable();
    }
  });
});

describe('createTelemetry keeps faults of the SDK to itself', () => {
  test('a store opens, commits and retries, and operations run, though nothing can be recorded', async () => {
    let broken = false;
    const fault = (): void => {
      if (broken) throw new Error('the SDK is broken');
    };
    const instrument = () => ({ add: fault, record: fault });
    const meter = Object.assign(Object.create(createNoopMeter()) as Meter, {
      createCounter: instrument,
      createHistogram: instrument,
    });
    const telemetry = createTelemetry({ meter });
    broken = true;
    const store = await openStore({ disk: new SimulatedDisk({ seed: 1 }), onEvent: telemetry.onStoreEvent });
    let attempts = 0;
    await store.transact(async (tx) => {
      await tx.get(['n']);
      if (++attempts === 1) await store.transact((other) => other.set(['n'], 1));
      tx.set(['n'], 2);
    });
    expect([attempts, await store.read((tx) => tx.get(['n']))]).toEqual([2, 2]);
    await store.close();
    const operations = fixture.open({ onEvent: telemetry.onOperation });
    expect(await operations.run(identityOf('k'), constant('done'))).toMatchObject({ outcome: 'executed' });
  });
});

function throwing(error: unknown): () => Promise<never> {
  return async () => {
    throw error;
  };
}
