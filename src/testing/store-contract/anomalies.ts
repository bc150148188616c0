import type { Isolation, Transaction } from '../../kv/store.ts';
import type { Value } from '../../kv/value.ts';
import { commits, type Session } from './session.ts';

/**
 * The ten anomalies of [Hermitage](https://github.com/ept/hermitage), some in several shapes. Each is a schedule of
 * transactions T1, T2, T3 over two rows, `one` holding 10 and `two` holding 20, that tells whether the anomaly showed.
 * Where it matters who commits first, it is played in both orders.
 */
export interface Anomaly {
  readonly name: string;
  readonly forbiddenBy: readonly Isolation[];
  readonly bothOrders?: true;
  readonly play: (schedule: Schedule) => Promise<boolean>;
}

export interface Schedule {
  readonly begin: () => Promise<Session>;
  /** Commits the two in the order being played; answers which of them went through, T1 before T2. */
  readonly commitBoth: (t1: Session, t2: Session) => Promise<[boolean, boolean]>;
  /** What anybody finds now. */
  readonly look: (key: Row) => Promise<Value | undefined>;
}

type Row = readonly [string, bigint];

export const one = ['row', 1n] as const;
export const two = ['row', 2n] as const;
const three = ['row', 3n] as const;
const four = ['row', 4n] as const;

const everyLevel: readonly Isolation[] = ['serializable', 'snapshot', 'read-committed'];
const snapshotLevels: readonly Isolation[] = ['serializable', 'snapshot'];

export const anomalies: readonly Anomaly[] = [
  {
    name: 'G0, dirty writes: the writes of two transactions end up mixed',
    forbiddenBy: everyLevel,
    bothOrders: true,
    play: async ({ begin, commitBoth, look }) => {
      const [t1, t2] = [await begin(), await begin()];
      t1.tx.set(one, 11);
      t2.tx.set(one, 12);
      t1.tx.set(two, 21);
      t2.tx.set(two, 22);
      await commitBoth(t1, t2);
      const rows = JSON.stringify([await look(one), await look(two)]);
      return rows !== '[11,21]' && rows !== '[12,22]';
    },
  },
  {
    name: 'G1a, aborted reads: one reads what another wrote and took back',
    forbiddenBy: everyLevel,
    play: async ({ begin }) => {
      const [t1, t2] = [await begin(), await begin()];
      t1.tx.set(one, 101);
      const before = await t2.tx.get(one);
      await t1.rollback();
      const after = await t2.tx.get(one);
      await commits(t2);
      return before !== 10 || after !== 10;
    },
  },
  {
    name: 'G1b, intermediate reads: one reads what another wrote and then overwrote',
    forbiddenBy: everyLevel,
    play: async ({ begin }) => {
      const [t1, t2] = [await begin(), await begin()];
      t1.tx.set(one, 101);
      const before = await t2.tx.get(one);
      t1.tx.set(one, 11);
      await t1.commit();
      const after = await t2.tx.get(one);
      await commits(t2);
      return before === 101 || after === 101;
    },
  },
  {
    name: 'G1c, circular information flow: two read each other’s uncommitted writes',
    forbiddenBy: everyLevel,
    bothOrders: true,
    play: async ({ begin, commitBoth }) => {
      const [t1, t2] = [await begin(), await begin()];
      t1.tx.set(one, 11);
      t2.tx.set(two, 22);
      const seen = [await t1.tx.get(two), await t2.tx.get(one)];
      await commitBoth(t1, t2);
      return seen[0] !== 20 || seen[1] !== 10;
    },
  },
  {
    name: 'OTV, observed transaction vanishes: one sees another’s commit and then no longer',
    forbiddenBy: everyLevel,
    play: async ({ begin }) => {
      const [t1, t2, t3] = [await begin(), await begin(), await begin()];
      t1.tx.set(one, 11);
      t1.tx.set(two, 19);
      t2.tx.set(one, 12);
      t2.tx.set(two, 18);
      await t1.commit();
      await t3.tx.get(one);
      await commits(t2);
      const seen = JSON.stringify([await t3.tx.get(two), await t3.tx.get(one), await t3.tx.get(two)]);
      await commits(t3);
      return !['[20,10,20]', '[19,11,19]', '[18,12,18]'].includes(seen);
    },
  },
  {
    name: 'PMP, predicate-many-preceders: a second scan finds what the first did not',
    forbiddenBy: snapshotLevels,
    play: async ({ begin }) => {
      const [t1, t2] = [await begin(), await begin()];
      const before = await rowsWhere(t1.tx, (value) => value % 3 === 0);
      t2.tx.set(three, 30);
      await t2.commit();
      const after = await rowsWhere(t1.tx, (value) => value % 3 === 0);
      await commits(t1);
      return after.length !== before.length;
    },
  },
  {
    name: 'PMP for writes: one deletes by a value that the row no longer has',
    forbiddenBy: snapshotLevels,
    play: async ({ begin }) => {
      const [t1, t2] = [await begin(), await begin()];
      t1.tx.set(one, Number(await t1.tx.get(one)) + 10);
      t1.tx.set(two, Number(await t1.tx.get(two)) + 10);
      const doomed = await rowsWhere(t2.tx, (value) => value === 20);
      await t1.commit();
      for (const key of doomed) t2.tx.delete(key);
      return commits(t2);
    },
  },
  {
    name: 'P4, lost updates: two read a row, both write it, one write is lost',
    forbiddenBy: snapshotLevels,
    bothOrders: true,
    play: async ({ begin, commitBoth }) => {
      const [t1, t2] = [await begin(), await begin()];
      t1.tx.set(one, Number(await t1.tx.get(one)) + 1);
      t2.tx.set(one, Number(await t2.tx.get(one)) + 1);
      const [first, second] = await commitBoth(t1, t2);
      return first && second;
    },
  },
  {
    name: 'G-single, read skew: one sees a row before another’s commit and the next row after it',
    forbiddenBy: snapshotLevels,
    play: async ({ begin }) => {
      const [t1, t2] = [await begin(), await begin()];
      await t1.tx.get(one);
      t2.tx.set(one, 12);
      t2.tx.set(two, 18);
      await t2.commit();
      const seen = await t1.tx.get(two);
      await commits(t1);
      return seen !== 20;
    },
  },
  {
    name: 'G-single by predicates: one scans before another’s commit and again after it',
    forbiddenBy: snapshotLevels,
    play: async ({ begin }) => {
      const [t1, t2] = [await begin(), await begin()];
      await rowsWhere(t1.tx, (value) => value % 5 === 0);
      t2.tx.set(one, 12);
      await t2.commit();
      const changed = await rowsWhere(t1.tx, (value) => value % 3 === 0);
      await commits(t1);
      return changed.length > 0;
    },
  },
  {
    name: 'G-single with a write: one writes by what it read before another’s commit',
    forbiddenBy: snapshotLevels,
    play: async ({ begin }) => {
      const [t1, t2] = [await begin(), await begin()];
      const seen = Number(await t1.tx.get(one));
      t2.tx.set(one, 12);
      t2.tx.set(two, 18);
      await t2.commit();
      // The two rows make 30 all the time.
      t1.tx.set(two, 30 - seen + Number(await t1.tx.get(two)));
      return commits(t1);
    },
  },
  {
    name: 'G2-item, write skew: two read both rows and each writes another one',
    forbiddenBy: ['serializable'],
    bothOrders: true,
    play: async ({ begin, commitBoth }) => {
      const [t1, t2] = [await begin(), await begin()];
      await t1.tx.getMany([one, two]);
      await t2.tx.getMany([one, two]);
      t1.tx.set(one, 11);
      t2.tx.set(two, 21);
      const [first, second] = await commitBoth(t1, t2);
      return first && second;
    },
  },
  {
    name: 'G2, write skew by predicates: two find no row, and each inserts one that the other would have found',
    forbiddenBy: ['serializable'],
    bothOrders: true,
    play: async ({ begin, commitBoth }) => {
      const [t1, t2] = [await begin(), await begin()];
      await rowsWhere(t1.tx, (value) => value % 3 === 0);
      await rowsWhere(t2.tx, (value) => value % 3 === 0);
      t1.tx.set(three, 30);
      t2.tx.set(four, 42);
      const [first, second] = await commitBoth(t1, t2);
      return first && second;
    },
  },
  {
    name: 'G2 over a third: T1 precedes T2 by what it read, T3 saw T2 and not T1, and T1 commits last',
    forbiddenBy: ['serializable'],
    play: async ({ begin }) => {
      const [t1, t2] = [await begin(), await begin()];
      await rowsWhere(t1.tx, () => true);
      t2.tx.set(two, Number(await t2.tx.get(two)) + 5);
      await t2.commit();
      const t3 = await begin();
      await rowsWhere(t3.tx, () => true);
      await t3.commit();
      t1.tx.set(one, 0);
      return commits(t1);
    },
  },
];

async function rowsWhere(tx: Transaction, holds: (value: number) => boolean): Promise<Row[]> {
  const found: Row[] = [];
  for await (const { key, value } of tx.scan({ prefix: ['row'] })) {
    const number = key[1];
    if (typeof number === 'bigint' && holds(Number(value))) found.push(['row', number]);
  }
  return found;
}
