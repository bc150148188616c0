import { describe, expect, test } from 'vitest';
import type { Isolation, Store, Transaction } from '../../kv/store.ts';
import { turn } from '../../testing/manual-world.ts';
import { Seeded } from '../../check/seeded.ts';
import {
  checkLinearizability,
  checkSerializability,
  checkSerialOrder,
  describeAnomaly,
  HistoryRecorder,
  keyed,
  type IsolationLevel,
  recordWorkload,
  registerModel,
  storeLists,
} from '../../testing/history/history.ts';
import { pairs, play } from '../../testing/history/pairs.harness.ts';
import { recordRegisterOperations } from '../../testing/history/registers.harness.ts';
import { openStore } from './embedded-store.ts';

const seeds = Array.from({ length: 8 }, (_, at) => at + 1);

describe('transact, seen from outside', () => {
  test.for<readonly [Isolation, IsolationLevel, RegExp]>([
    ['serializable', 'strict-serializable', /^$/],
    // Of write skews alone, of points or of ranges; whatever else snapshots forbid would be more than these names.
    ['snapshot', 'snapshot', /^(G2(-item)?( |$))+$/],
  ])('at %s keeps %s in random histories', async ([isolation, level, expected]) => {
    const names = new Set<string>();
    for (const seed of seeds) {
      const store = await openStore();
      const history = await recordWorkload(storeLists(store, isolation), { seed, sessions: 6, transactions: 150 });
      await store.close();
      expect(history.transactions.filter(({ outcome }) => outcome === 'committed').length).toBeGreaterThan(140);
      const report = checkSerializability(history, { level });
      expect(
        report.anomalies.filter(({ forbiddenBy }) => forbiddenBy.includes(level)).map((one) => describeAnomaly(one)),
        `seed ${seed}`,
      ).toEqual([]);
      for (const { name } of report.anomalies) names.add(name);
    }
    expect([...names].sort().join(' ')).toMatch(expected);
  });

  test.for<readonly [Isolation, readonly string[]]>([
    ['serializable', []],
    ['snapshot', ['G2-item']],
    ['read-committed', ['G-single', 'G2-item', 'lost-update']],
  ])('at %s, of a read skew, a write skew and a lost update, shows %j', async ([isolation, expected]) => {
    const names = new Set<string>();
    for (const pair of pairs) {
      const store = await openStore();
      for (const { name } of checkSerializability(await play(store, pair, isolation)).anomalies) names.add(name);
      await store.close();
    }
    expect([...names].sort()).toEqual(expected);
  });

  test('runs registers in the order of its answers, whose versions its reads tell', async () => {
    for (const seed of seeds) {
      const store = await openStore();
      const report = checkSerialOrder(await recordRegisters(store, seed));
      await store.close();
      expect(report.ok ? [] : report.violations.map(({ message }) => message), `seed ${seed}`).toEqual([]);
    }
  });

  test('and read are linearizable, key by key', async () => {
    for (const seed of seeds) {
      const store = await openStore();
      const operations = await recordRegisterOperations([store], seed, turn);
      await store.close();
      expect(checkLinearizability(operations, keyed(registerModel<number>())).outcome, `seed ${seed}`).toBe(
        'linearizable',
      );
    }
  });
});

/** Points, absences, deletions and versions. In memory, commits are answered in the order in which they took place. */
async function recordRegisters(store: Store, seed: number): Promise<ReturnType<HistoryRecorder['history']>> {
  const recorder = new HistoryRecorder();
  const seeded = new Seeded(seed);
  const below = (bound: number): number => Math.floor(seeded.fraction() * bound);
  let position = 0;
  const client = async (session: string): Promise<void> => {
    for (let count = 0; count < 25; count++) {
      const steps = Array.from({ length: 1 + below(4) }, () => ({
        key: `k${below(3)}`,
        choice: below(4),
        value: below(3),
      }));
      let recorded = recorder.begin(session);
      let runs = 0;
      const wrote = steps.some(({ choice }) => choice < 2);
      const version = await store.transact(async (tx: Transaction) => {
        if (runs++ > 0) {
          recorded.aborted();
          recorded = recorder.begin(session);
        }
        for (const { key, choice, value } of steps) {
          await turn();
          if (choice === 0) tx.set([key], value);
          if (choice === 1) tx.delete([key]);
          if (choice < 2) recorded.write(key, choice === 0 ? value : undefined);
          if (choice < 2) continue;
          const entry = await tx.getEntry([key]);
          recorded.read(key, entry?.value, entry?.version);
        }
        return tx.version;
      });
      recorded.committed(wrote ? { position: ++position, version } : {});
    }
  };
  await Promise.all(['a', 'b', 'c', 'd', 'e'].map((session) => client(session)));
  return recorder.history();
}
