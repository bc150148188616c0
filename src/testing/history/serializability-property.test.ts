import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Seeded } from '../../check/seeded.ts';
import { describeAnomaly, type IsolationLevel } from './anomaly.ts';
import { checkSerializability } from './check-serializability.ts';
import { recordSerially } from './serial-history.harness.ts';
import type { History, ListElement, Operation, RecordedTransaction } from './transaction-history.ts';

const small = { transactions: 7, sessions: 3, keys: 2, appendsPerKey: 8 };

test('checkSerializability accepts whatever was run serially, however it overlaps and whatever was not answered', () => {
  const property = fc.property(fc.nat(), fc.integer({ min: 2, max: 80 }), (seed, transactions) => {
    const history = recordSerially(new Seeded(seed), { transactions, sessions: 5, keys: 3, appendsPerKey: 10 });
    expect(checkSerializability(history).anomalies.map((anomaly) => describeAnomaly(anomaly))).toEqual([]);
  });
  fc.assert(property, { numRuns: 200 });
});

/**
 * A list remembers its past, so nothing is left to guess: of what nobody saw, any order will do. Whatever no order explains is
 * found, therefore, and nothing else; there is no corruption that goes undetected but one that could have been the truth.
 */
test.for<IsolationLevel>(['serializable', 'strict-session-serializable', 'strict-serializable'])(
  'checkSerializability judges corrupted histories as trying every order does, by %s',
  (level) => {
    const verdicts = { true: 0, false: 0 };
    const property = fc.property(fc.nat(), fc.integer({ min: 0, max: 3 }), (seed, corruptions) => {
      const seeded = new Seeded(seed);
      let history = recordSerially(seeded, small);
      for (let count = 0; count < corruptions; count++) history = corrupt(history, seeded);
      const { ok, anomalies } = checkSerializability(history, { level });
      verdicts[`${ok}`] += 1;
      expect(ok, anomalies.map((anomaly) => describeAnomaly(anomaly)).join('\n')).toBe(canBeOrdered(history, level));
    });
    fc.assert(property, { numRuns: 500 });
    expect(Math.min(verdicts.true, verdicts.false)).toBeGreaterThan(30);
  },
);

/** Another answer to one read, made of what was appended; or another outcome, or another time. */
function corrupt({ transactions }: History, seeded: Seeded): History {
  const below = (bound: number): number => Math.floor(seeded.fraction() * bound);
  const victim = below(transactions.length);
  const changed = transactions.map((transaction, at): RecordedTransaction => {
    if (at !== victim) return transaction;
    if (below(4) === 0)
      return { ...transaction, outcome: transaction.outcome === 'committed' ? 'aborted' : 'committed' };
    const which = below(transaction.operations.length);
    const operation = transaction.operations[which];
    if (operation === undefined) return transaction;
    return { ...transaction, operations: transaction.operations.with(which, misread(transactions, operation, below)) };
  });
  return { transactions: changed };
}

function misread(
  transactions: readonly RecordedTransaction[],
  operation: Operation,
  below: (bound: number) => number,
): Operation {
  const listFor = (key: string): readonly ListElement[] | undefined => {
    const elements = transactions.flatMap(({ operations }) =>
      operations.flatMap((one) => (one.act === 'append' && one.key === key ? [one.element] : [])),
    );
    if (below(6) === 0) elements.reverse();
    const list = elements.slice(0, below(elements.length + 1)).filter(() => below(5) > 0);
    return list.length === 0 ? undefined : list;
  };
  if (operation.act === 'read') return { ...operation, value: listFor(operation.key) };
  if (operation.act !== 'range') return operation;
  const key = operation.keys[below(operation.keys.length)] ?? '';
  const list = listFor(key);
  const found = new Map([...operation.found].filter(([other]) => other !== key));
  return { ...operation, found: list === undefined ? found : found.set(key, list) };
}

type Lists = ReadonlyMap<string, readonly ListElement[]>;

/** Tries whatever may come next, by the definition and nothing else. Who was not answered may come, or not. */
function canBeOrdered({ transactions }: History, level: IsolationLevel): boolean {
  const go = (left: readonly RecordedTransaction[], lists: Lists): boolean => {
    if (left.every(({ outcome }) => outcome === 'unknown')) return true;
    return left.some((next, at) => {
      const isTooEarly = left.some(
        (other) => other.outcome === 'committed' && other.completed < next.invoked && mustPrecede(other, next, level),
      );
      const after = isTooEarly ? undefined : applied(next, lists);
      return after !== undefined && go(left.toSpliced(at, 1), after);
    });
  };
  return go(
    transactions.filter(({ outcome }) => outcome !== 'aborted'),
    new Map(),
  );
}

function mustPrecede(one: RecordedTransaction, next: RecordedTransaction, level: IsolationLevel): boolean {
  if (level === 'strict-serializable') return true;
  return level === 'strict-session-serializable' && one.session === next.session;
}

function applied({ operations }: RecordedTransaction, lists: Lists): Lists | undefined {
  const after = new Map(lists);
  const holds = (key: string, value: unknown): boolean =>
    JSON.stringify(after.get(key) ?? []) === JSON.stringify(value ?? []);
  for (const operation of operations) {
    if (operation.act === 'append') {
      after.set(operation.key, [...(after.get(operation.key) ?? []), operation.element]);
    } else if (operation.act === 'read') {
      if (!holds(operation.key, operation.value)) return undefined;
    } else if (operation.act === 'range') {
      if (!operation.keys.every((key) => holds(key, operation.found.get(key)))) return undefined;
    }
  }
  return after;
}
