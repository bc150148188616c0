import type { Attributes } from '@opentelemetry/api';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AbortedError, ConflictError, InvalidArgumentError, LockTimeoutError } from 'semel';
import type { StoreEvent } from 'semel/embedded';
import type { OperationEvent } from 'semel/operations';
import { ManualWorld } from 'semel/testing';
import { Sdk } from './sdk.harness.ts';

describe('no attribute', () => {
  const secret = fc.stringMatching(/^[0-9a-f]{12}$/).map((hex) => `secret-${hex}`);
  const thrown = secret.chain((words) =>
    fc.constantFrom<unknown>(
      words,
      { message: words, code: words, name: words },
      new Error(words, { cause: words }),
      Object.assign(new TypeError(words), { name: words, code: words, constructor: { name: words } }),
      new ConflictError([[words]]),
      new LockTimeoutError(words, 1),
      new InvalidArgumentError(words, words, words),
      new AbortedError({ cause: words }),
    ),
  );
  const operation: fc.Arbitrary<OperationEvent> = fc.record(
    {
      scope: secret,
      key: secret,
      outcome: fc.constantFrom('executed', 'replayed', 'in-progress', 'mismatch', 'expired', 'refused', 'failed'),
      keep: fc.constantFrom('all', 'record', 'nothing'),
      reason: fc.constantFrom('cancelled', 'deadline', 'commit-unknown', 'too-many-waiters'),
      error: thrown,
      coalesced: fc.boolean(),
      attempts: fc.nat(100),
      durationMs: fc.double({ min: 0, max: 60_000, noNaN: true }),
    },
    { requiredKeys: ['scope', 'key', 'outcome', 'coalesced', 'attempts', 'durationMs'] },
  );
  const numbers = ['entries', 'bytes', 'checkpointBytes', 'durationMs', 'tornBytes', 'syncMs', 'sliceMsMax'] as const;
  const facts = Object.fromEntries(numbers.map((name) => [name, fc.nat()])) as Record<
    (typeof numbers)[number],
    fc.Arbitrary<number>
  >;
  const storeEvent: fc.Arbitrary<StoreEvent> = fc.oneof(
    fc.record({ type: fc.constant('recovered'), keptAside: fc.option(secret, { nil: undefined }), ...facts }),
    fc.record({ type: fc.constant('synced'), ...facts }),
    fc.record({ type: fc.constant('checkpointed'), ...facts }),
    fc.record({ type: fc.constant('checkpoint-failed'), cause: thrown }),
    fc.record({ type: fc.constant('retried'), fault: fc.constantFrom('conflict', 'deadlock') }),
    fc.record({ type: fc.constant('poisoned'), cause: thrown }),
  );

  test('holds anything beyond these words and numbers, and nothing else tells a scope, a key, or what an error says', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(operation), fc.array(storeEvent), async (operations, storeEvents) => {
        const probe = new Sdk(new ManualWorld());
        for (const event of operations) probe.telemetry.onOperation(event);
        for (const event of storeEvents) probe.telemetry.onStoreEvent(event);
        const points = await probe.metrics();
        for (const { attributes } of points.flatMap(({ dataPoints }) => dataPoints)) expectClosed(attributes);
        for (const { attributes } of probe.spans) {
          const { 'semel.operation.attempts': attempts, ...labels } = attributes;
          expect(attempts).toEqual(expect.any(Number));
          expectClosed(labels);
        }
        expect(probe.spans).toHaveLength(operations.length);
        const spans = probe.spans.map(({ name, status, events, links }) => ({ name, status, events, links }));
        expect(JSON.stringify([spans, points])).not.toContain('secret');
      }),
    );
  });

  const closed: Readonly<Record<string, readonly unknown[]>> = {
    'semel.operation.outcome': ['executed', 'replayed', 'in-progress', 'mismatch', 'expired', 'refused', 'failed'],
    'semel.operation.keep': ['all', 'record', 'nothing'],
    'semel.operation.refusal_reason': ['cancelled', 'deadline', 'commit-unknown', 'too-many-waiters'],
    'semel.operation.coalesced': [true, false],
    // By reason, by code, by class.
    'error.type': ['deadline', 'commit-unknown', 'too-many-waiters'].concat(
      ['checkpoint-failed', 'conflict', 'deadlock', 'lock-timeout', 'invalid-argument', 'aborted'],
      ['Error', 'TypeError', '_OTHER'],
    ),
  };

  function expectClosed(attributes: Attributes): void {
    for (const [name, value] of Object.entries(attributes)) expect(closed[name]).toContain(value);
  }
});
