import { expect, test } from 'vitest';
import { Seeded } from '../../check/seeded.ts';
import { checkSerialOrder } from './check-serial-order.ts';
import { checkSerializability } from './check-serializability.ts';
import { recordSerially } from './serial-history.harness.ts';
import { story } from './story.harness.ts';

const size = { transactions: 100_000, sessions: 20, keys: 5, appendsPerKey: 20 };

test('checkSerializability judges 100,000 transactions', () => {
  const history = recordSerially(new Seeded(1), { transactions: 100_000, sessions: 20, keys: 5, appendsPerKey: 20 });
  expect(checkSerializability(history)).toMatchObject({ ok: true, anomalies: [] });
  const late = history.transactions.findLast(({ operations }) => operations.some(({ act }) => act === 'append'));
  const skew = story('r p, a q 1', 'r q, a p 1').transactions.map((one) => ({
    ...one,
    session: `of ${one.name}`,
    invoked: late?.invoked ?? 0,
    completed: Infinity,
  }));
  const report = checkSerializability({ transactions: [...history.transactions, ...skew] });
  expect(report.anomalies.map(({ name, transactions }) => `${name} ${transactions.length}`)).toEqual(['G2-item 2']);
});

test('checkSerialOrder judges 100,000 transactions, and those without a place', () => {
  const { transactions } = recordSerially(new Seeded(2), size);
  const history = {
    transactions: transactions.map((one) =>
      one.operations.some(({ act }) => act === 'append') ? one : { ...one, position: undefined },
    ),
  };
  expect(checkSerialOrder(history).ok).toBe(true);
});
