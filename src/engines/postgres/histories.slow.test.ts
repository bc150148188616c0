import pg from 'pg';
import type { PostgresStore, PostgresTransaction } from 'semel/postgres';
import { describe, expect, test } from 'vitest';
import { SemelError } from '../../kv/errors.ts';
import type { Isolation } from '../../kv/store.ts';
import {
  checkLinearizability,
  checkSerializability,
  describeAnomaly,
  type IsolationLevel,
  keyed,
  type ListDatabase,
  type ListElement,
  recordWorkload,
  registerModel,
  storeLists,
} from '../../testing/history/history.ts';
import { pairs, play } from '../../testing/history/pairs.harness.ts';
import { recordRegisterOperations } from '../../testing/history/registers.harness.ts';
import { testDatabase } from './postgres-store.harness.ts';

const database = testDatabase();
const seeds = [1, 2, 3];

/** Two stores on one schema, as two processes have them. */
async function twoProcesses(): Promise<readonly [PostgresStore, PostgresStore]> {
  const schema = await database.newSchema();
  return [await database.open({ schema }), await database.open({ schema })];
}

/** The sessions of a workload, by turns in the one process and in the other. */
function byTurns(lists: readonly ListDatabase[]): ListDatabase {
  const assigned = new Map<string, ListDatabase>();
  const of = (session: string): ListDatabase => {
    const known = assigned.get(session) ?? lists[assigned.size % lists.length];
    if (known === undefined) throw new Error('there are stores');
    assigned.set(session, known);
    return known;
  };
  return {
    transact: (session, body) => of(session).transact(session, body),
    didNotHappen: (error) => lists[0]?.didNotHappen(error) ?? false,
  };
}

/** Lists with even names are keys of the store, those with odd names are rows of the user's, and a transaction has to do with both. */
function mixedLists(store: PostgresStore, isolation: Isolation, table: string): ListDatabase {
  const isRow = (key: string): boolean => Number(key.replaceAll(/\D/g, '')) % 2 === 1;
  const valueAt = async (tx: PostgresTransaction, key: string): Promise<readonly ListElement[] | undefined> =>
    (await tx.get(['list', key])) as readonly ListElement[] | undefined;
  return {
    transact: (_session, body) =>
      store.transact(
        (tx) =>
          body({
            async read(key) {
              if (!isRow(key)) return valueAt(tx, key);
              const { rows } = await tx.sql<{ elements: number[] }>(`SELECT elements FROM ${table} WHERE key = $1`, [
                key,
              ]);
              return rows[0]?.elements;
            },
            async append(key, element) {
              if (isRow(key)) {
                const insert = `INSERT INTO ${table} VALUES ($1, ARRAY[$2::int])`;
                await tx.sql(`${insert} ON CONFLICT (key) DO UPDATE SET elements = list.elements || $2::int`, [
                  key,
                  element,
                ]);
                return undefined;
              }
              const read = (await valueAt(tx, key)) ?? [];
              tx.set(['list', key], [...read, element]);
              return read;
            },
          }),
        { isolation },
      ),
    didNotHappen: (error) =>
      (error instanceof SemelError && error.effect === 'did-not-happen') ||
      (error instanceof pg.DatabaseError && error.code?.startsWith('40') === true),
  };
}

describe('transact on PostgreSQL, from two processes, seen from outside', () => {
  test.for<readonly [Isolation, IsolationLevel, RegExp]>([
    ['serializable', 'serializable', /^$/],
    // Of write skews alone, of points or of ranges.
    ['snapshot', 'snapshot', /^(G2(-item)?( |$))*$/],
  ])('transact at %s keeps %s in random histories', async ([isolation, level, expected]) => {
    const names = new Set<string>();
    for (const seed of seeds) {
      const stores = await twoProcesses();
      const lists = byTurns(stores.map((store) => storeLists(store, isolation)));
      const history = await recordWorkload(lists, { seed, sessions: 6, transactions: 120 });
      expect(history.transactions.filter(({ outcome }) => outcome === 'committed').length).toBeGreaterThan(100);
      const report = checkSerializability(history, { level });
      const forbidden = report.anomalies.filter(({ forbiddenBy }) => forbiddenBy.includes(level));
      expect(
        forbidden.map((one) => describeAnomaly(one)),
        `seed ${seed}`,
      ).toEqual([]);
      for (const { name } of report.anomalies) names.add(name);
    }
    expect([...names].sort().join(' ')).toMatch(expected);
  });

  test.for<readonly [Isolation, IsolationLevel]>([
    ['serializable', 'serializable'],
    ['snapshot', 'snapshot'],
  ])('transact at %s keeps %s over keys of the store and rows of the user', async ([isolation, level]) => {
    for (const seed of seeds) {
      const schema = await database.newSchema();
      const stores = [await database.open({ schema }), await database.open({ schema })];
      await stores[0]?.transact((tx) => tx.sql(`CREATE TABLE ${schema}.list (key text PRIMARY KEY, elements int[])`));
      const lists = stores.map((store) => mixedLists(store, isolation, `${schema}.list`));
      const history = await recordWorkload(byTurns(lists), { seed, sessions: 6, transactions: 120 });
      expect(history.transactions.filter(({ outcome }) => outcome === 'committed').length).toBeGreaterThan(100);
      const { anomalies } = checkSerializability(history, { level });
      const forbidden = anomalies.filter(({ forbiddenBy }) => forbiddenBy.includes(level));
      expect(
        forbidden.map((one) => describeAnomaly(one)),
        `seed ${seed}`,
      ).toEqual([]);
    }
  });

  test.for<readonly [Isolation, readonly string[]]>([
    ['serializable', []],
    ['snapshot', ['G2-item']],
    ['read-committed', ['G-single', 'G2-item', 'lost-update']],
  ])('transact at %s, of a read skew, a write skew and a lost update, shows %j', async ([isolation, expected]) => {
    const names = new Set<string>();
    for (const pair of pairs) {
      const history = await play(await database.open(), pair, isolation);
      for (const { name } of checkSerializability(history).anomalies) names.add(name);
    }
    expect([...names].sort()).toEqual(expected);
  });

  test('transact and read are linearizable, key by key', async () => {
    for (const seed of seeds) {
      const operations = await recordRegisterOperations(await twoProcesses(), seed, () => Promise.resolve());
      const { outcome } = checkLinearizability(operations, keyed(registerModel<number>()));
      expect(outcome, `seed ${seed}`).toBe('linearizable');
    }
  });
});
