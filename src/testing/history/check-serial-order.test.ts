import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Seeded } from '../../check/seeded.ts';
import { checkSerialOrder, type SerialOrderReport } from './check-serial-order.ts';
import { recordSerially } from './serial-history.harness.ts';
import {
  MalformedHistoryError,
  type History,
  type Operation,
  type RecordedTransaction,
} from './transaction-history.ts';

type Given = Partial<RecordedTransaction> & { readonly operations: readonly Operation[] };

function history(...given: readonly Given[]): History {
  const transactions = given.map((one, at) => ({
    name: `T${at + 1}`,
    session: `s${at + 1}`,
    invoked: 0,
    completed: 100,
    outcome: 'committed' as const,
    ...one,
  }));
  return { transactions };
}

const write = (key: string, value: unknown): Operation => ({ act: 'write', key, value });
const read = (key: string, value: unknown, version?: string): Operation => ({ act: 'read', key, value, version });
const append = (key: string, element: number): Operation => ({ act: 'append', key, element });
const range = (keys: string[], found: Record<string, unknown>): Operation => ({
  act: 'range',
  keys,
  found: new Map(Object.entries(found)),
});

function violations(report: SerialOrderReport): readonly string[] {
  return report.ok ? [] : report.violations.map(({ name, message }) => `${name}: ${message}`);
}

describe('checkSerialOrder accepts', () => {
  test.for([
    [
      'values, absences, deletions and ranges as they are at their places',
      [
        { position: 1, operations: [read('x', undefined), write('x', 'a'), append('l', 1)] },
        { position: 2, operations: [read('x', 'a'), range(['x', 'y', 'l'], { x: 'a', l: [1] })] },
        { position: 3, operations: [write('x', undefined), append('l', 2), read('l', [1, 2])] },
        { position: 4, operations: [read('x', undefined), range(['x', 'y', 'l'], { l: [1, 2] })] },
      ],
    ],
    [
      'a reader that stands behind the writer at its place',
      [
        { position: 7n, operations: [read('x', 1)] },
        { position: 7n, operations: [write('x', 1)] },
      ],
    ],
    [
      'one whose answer was lost and whose write was seen',
      [
        { position: 1, outcome: 'unknown', operations: [write('x', 1)] },
        { position: 2, operations: [read('x', 1)] },
      ],
    ],
    [
      'one whose answer was lost and whose write was never there',
      [
        { position: 1, outcome: 'unknown', operations: [write('x', 1)] },
        { position: 2, operations: [read('x', undefined)] },
      ],
    ],
    [
      'equal values of two writers, told apart by their versions',
      [
        { position: 1, version: 'a', operations: [write('x', 1)] },
        { position: 2, version: 'b', outcome: 'unknown', operations: [write('x', 1)] },
        { position: 3, operations: [read('x', 1, 'a')] },
      ],
    ],
  ] as const)('%s', ([, given]) => {
    expect(violations(checkSerialOrder(history(...given)))).toEqual([]);
  });
});

describe('checkSerialOrder finds', () => {
  test.for([
    [
      'a stale read',
      'read: T2 read x = none, and at its place (2) there is 1 of T1',
      [
        { position: 1, operations: [write('x', 1)] },
        { position: 2, operations: [read('x', undefined)] },
      ],
    ],
    [
      'the write of another version with the same value',
      'read: T3 read x = 1 (version a), and at its place (3) there is 1 of T2',
      [
        { position: 1, version: 'a', operations: [write('x', 1)] },
        { position: 2, version: 'b', operations: [write('x', 1)] },
        { position: 3, operations: [read('x', 1, 'a')] },
      ],
    ],
    [
      'a phantom',
      'read: T2 found in x, y y = none, and at its place (2) there is 1 of T1',
      [
        { position: 1, operations: [write('y', 1)] },
        { position: 2, operations: [range(['x', 'y'], {})] },
      ],
    ],
    [
      'a place before one that was over',
      'real-time: T1 was over before T2 began, and stands behind it, at 2',
      [
        { position: 2, operations: [write('x', 1)], completed: 5 },
        { position: 1, operations: [write('y', 1)], invoked: 6 },
      ],
    ],
    [
      'two writers at one place',
      'same-place: T1 and T2 have both written at the place 1',
      [
        { position: 1, operations: [write('x', 1)] },
        { position: 1, operations: [write('y', 1)] },
      ],
    ],
    [
      'a reader of two states',
      'no-place: T3, which wrote nothing, has no place that respects real time at which all of this held: read x = 1; read y = none',
      [
        { position: 1, operations: [write('y', 1)] },
        { position: 2, operations: [write('x', 1)] },
        { operations: [read('x', 1), read('y', undefined)] },
      ],
    ],
    [
      'readers that go back in time',
      'no-place: T3, which wrote nothing, has no place that respects real time at which all of this held: read x = none',
      [
        { position: 1, operations: [write('x', 1)] },
        { operations: [read('x', 1)], completed: 10 },
        { operations: [read('x', undefined)], invoked: 11 },
      ],
    ],
    [
      'a reader that sees what began when it was over',
      'no-place: T2, which wrote nothing, has no place that respects real time at which all of this held: read x = 1',
      [
        { position: 1, operations: [write('x', 1)], invoked: 11 },
        { operations: [read('x', 1)], completed: 10 },
      ],
    ],
  ] as const)('%s', ([, expected, given]) => {
    expect(violations(checkSerialOrder(history(...given)))).toEqual([expected]);
  });
});

test('checkSerialOrder finds a read from amid a transaction', () => {
  const amid = history({ position: 1, operations: [write('x', 1), write('x', 2)] }, { operations: [read('x', 1)] });
  expect(checkSerialOrder(amid)).toMatchObject({ ok: false, violations: [{ name: 'no-place' }] });
});

test('checkSerialOrder takes two that touch in time to overlap', () => {
  const touching = history(
    { position: 1, operations: [write('x', 1)], completed: 10 },
    { operations: [read('x', undefined)], invoked: 10 },
  );
  expect(violations(checkSerialOrder(touching))).toEqual([]);
});

test('checkSerialOrder with `strict: false` leaves real time aside', () => {
  const late = history(
    { position: 1, operations: [write('x', 1)], completed: 10 },
    { operations: [read('x', undefined)], invoked: 11 },
  );
  expect(checkSerialOrder(late).ok).toBe(false);
  expect(checkSerialOrder(late, { strict: false })).toMatchObject({
    ok: true,
    order: [{ name: 'T2' }, { name: 'T1' }],
  });
});

test('checkSerialOrder demands the place of who wrote', () => {
  expect(() => checkSerialOrder(history({ operations: [write('x', 1)] }))).toThrow(MalformedHistoryError);
});

test('checkSerialOrder accepts whatever was run serially, and finds any answer that was changed', () => {
  const property = fc.property(fc.nat(), fc.nat(), (seed, which) => {
    const { transactions } = recordSerially(new Seeded(seed), {
      transactions: 30,
      sessions: 4,
      keys: 3,
      appendsPerKey: 6,
    });
    expect(violations(checkSerialOrder({ transactions }))).toEqual([]);
    // An answer that contradicts what its own transaction knows is wrong at every place, so no place excuses it.
    const committed = transactions.filter(
      ({ outcome, operations }) => outcome === 'committed' && operations.some(({ act }) => act === 'read'),
    );
    const victim = committed[which % Math.max(committed.length, 1)];
    if (victim === undefined) return;
    const at = victim.operations.findIndex(({ act }) => act === 'read');
    const changed = victim.operations.with(at, { ...victim.operations[at], value: ['never'] } as Operation);
    const broken = transactions.map((one) => (one === victim ? { ...one, operations: changed } : one));
    const report = checkSerialOrder({ transactions: broken });
    expect(report.ok ? [] : report.violations.map(({ transaction }) => transaction.name)).toEqual([victim.name]);
  });
  fc.assert(property, { numRuns: 200 });
});
