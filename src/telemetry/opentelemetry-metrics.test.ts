import type { Attributes } from '@opentelemetry/api';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { CommitUnknownError } from 'semel';
import { openStore, type StoreEvent } from 'semel/embedded';
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

describe('createTelemetry measures', () => {
  test('operations by outcome, and the duplicates that did not execute', async () => {
    const { finish } = await fixture.inFlight('k');
    const waiting = fixture.operations.run(identityOf('k'), constant('never'));
    const refused = fixture.operations.run(identityOf('k'), constant('never'), { onDuplicate: 'refuse' });
    await until(() => fixture.operations.waiting === 1);
    await fixture.world.advance(250);
    await Promise.all([finish(), waiting, refused]);
    await fixture.operations.run(identityOf('k', 'other'), constant('never'));
    const failing = fixture.operations.run(identityOf('other'), () => Promise.reject(new RangeError()));
    await expect(failing).rejects.toThrow(RangeError);

    const outcome = (outcome: string, coalesced = false): Attributes => ({
      'semel.operation.outcome': outcome,
      'semel.operation.coalesced': coalesced,
    });
    const executed = { ...outcome('executed'), 'semel.operation.keep': 'all' };
    const failed = { ...outcome('failed'), 'error.type': 'RangeError' };
    expect(await sdk.measured()).toEqual({
      ...nothingOfTheStore,
      'semel.operation.duration s': [
        [outcome('in-progress'), { count: 1, sum: 0 }],
        [executed, { count: 1, sum: 0.25 }],
        [outcome('replayed', true), { count: 1, sum: 0.25 }],
        [outcome('mismatch'), { count: 1, sum: 0 }],
        [failed, { count: 1, sum: 0 }],
      ],
      'semel.operation.duplicates {request}': [
        [outcome('in-progress'), 1],
        [outcome('replayed', true), 1],
        [outcome('mismatch'), 1],
      ],
    });
  });

  test('a duplicate for whom there was no room to wait as one that did not execute', async () => {
    const crowded = fixture.open({ waitersMax: 0, onEvent: sdk.telemetry.onOperation });
    const { finish } = await fixture.inFlight('k');
    await crowded.run(identityOf('k'), constant('never'));
    const reason = { 'semel.operation.refusal_reason': 'too-many-waiters', 'error.type': 'too-many-waiters' };
    const attributes = { 'semel.operation.outcome': 'refused', 'semel.operation.coalesced': false, ...reason };
    expect(await sdk.measured()).toMatchObject({ 'semel.operation.duplicates {request}': [[attributes, 1]] });
    await finish();
  });

  test('what a store does: recovery, syncs, retries and its end', async () => {
    const told: StoreEvent[] = [];
    const onEvent = (event: StoreEvent): void => {
      told.push(event);
      sdk.telemetry.onStoreEvent(event);
    };
    const disk = new SimulatedDisk({ seed: 1 });
    const first = await openStore({ disk });
    await first.transact((tx) => tx.set(['n'], 0));
    await first.close();

    const { world } = fixture;
    const store = await openStore({ disk, world, onEvent });
    let attempts = 0;
    await store.transact(async (tx) => {
      const n = Number(await tx.get(['n']));
      if (++attempts === 1) await store.transact((other) => other.set(['n'], 7));
      tx.set(['n'], n + 1);
    });
    disk.failSync(disk.syncs + 1);
    await expect(store.transact((tx) => tx.set(['n'], 9))).rejects.toThrow(CommitUnknownError);
    await store.close();

    expect(new Set(told.map(({ type }) => type))).toEqual(new Set(['recovered', 'synced', 'retried', 'poisoned']));
    const recovered = told.flatMap((event) => (event.type === 'recovered' ? event : []));
    const synced = told.flatMap((event) => (event.type === 'synced' ? event : []));
    expect(recovered[0]?.bytes).toBeGreaterThan(0);
    expect(await sdk.measured()).toEqual({
      'semel.store.recovery.duration s': [[{}, { count: 1, sum: 0 }]],
      'semel.store.recovery.entries {entry}': [[{}, recovered[0]?.entries]],
      'semel.store.recovery.size By': [[{}, recovered[0]?.bytes]],
      'semel.store.recovery.torn_size By': [[{}, 0]],
      'semel.store.sync.duration s': [[{}, { count: synced.length, sum: 0 }]],
      'semel.store.sync.entries {entry}': [
        [{}, { count: synced.length, sum: total(synced.map(({ entries }) => entries)) }],
      ],
      'semel.store.sync.size By': [[{}, { count: synced.length, sum: total(synced.map(({ bytes }) => bytes)) }]],
      'semel.store.retries {attempt}': [[{ 'error.type': 'conflict' }, 1]],
      'semel.store.poisoned {store}': [[{}, 1]],
    });
  });

  test('durations in seconds, in bounds made for them', async () => {
    sdk.telemetry.onStoreEvent({ type: 'synced', entries: 3, bytes: 300, syncMs: 0.3 });
    const durations = (await sdk.metrics()).filter(({ name }) => name === 'semel.store.sync.duration s');
    const expected = { sum: 0.000_3, buckets: { counts: [0, 0, 1, ...Array.from({ length: 11 }, () => 0)] } };
    expect(durations[0]?.dataPoints[0]?.value).toMatchObject(expected);
  });

  test('an operation in the context of its own span, a sync in the context of nobody', async () => {
    await sdk.within('request', async () => {
      await fixture.operations.run(identityOf('k'), constant('done'));
      sdk.telemetry.onStoreEvent({ type: 'synced', entries: 1, bytes: 100, syncMs: 1 });
    });
    const own = sdk.spans[0]?.spanContext().spanId;
    expect(own).toBeDefined();
    expect(sdk.spansMeasuredIn).toEqual([undefined, own, undefined, undefined, undefined]);
  });
});

/** Made when a store is observed, whatever happens in it. */
const nothingOfTheStore = { 'semel.store.poisoned {store}': [[{}, 0]] };

function total(numbers: readonly number[]): number {
  return numbers.reduce((sum, number) => sum + number, 0);
}
