import { describe, expect, test } from 'vitest';
import { ConflictError } from '../../kv/errors.ts';
import type { Isolation } from '../../kv/store.ts';
import { anomalies, type Anomaly, one, two } from './anomalies.ts';
import { begin, commits } from './session.ts';
import { cross, faultOf, keysOf, look, type OpenStore, put } from './shorthand.ts';
import type { StoreCapabilities } from './store-capabilities.ts';

const levels: readonly Isolation[] = ['serializable', 'snapshot', 'read-committed'];
const key = ['k'];
const elsewhere = ['elsewhere'];

export function isolationContract(open: OpenStore, supports: StoreCapabilities): void {
  describe('isolation', () => {
    for (const isolation of levels) for (const anomaly of anomalies) hermitage(open, isolation, anomaly);
    serializable(open, supports);
    weaker(open);
  });
}

function hermitage(open: OpenStore, isolation: Isolation, anomaly: Anomaly): void {
  const forbidden = anomaly.forbiddenBy.includes(isolation);
  const orders = anomaly.bothOrders ? [', T1 commits first', ', T2 commits first'] : [''];
  test.each(orders)(`${isolation} ${forbidden ? 'forbids' : 'lets through'} ${anomaly.name}%s`, async (order) => {
    const store = await open();
    await store.transact((tx) => {
      tx.set(one, 10);
      tx.set(two, 20);
    });
    const shown = await anomaly.play({
      begin: () => begin(store, { isolation }),
      look: (row) => look(store, row),
      commitBoth: async (t1, t2) => {
        if (order !== ', T2 commits first') return [await commits(t1), await commits(t2)];
        const second = await commits(t2);
        return [await commits(t1), second];
      },
    });
    expect(shown).toBe(!forbidden);
  });
}

function serializable(open: OpenStore, supports: StoreCapabilities): void {
  test('serializable is what transact gives unless told otherwise', async () => {
    const store = await open();
    const [first, second] = [await begin(store), await begin(store)];
    await first.tx.get(['a']);
    await second.tx.get(['b']);
    first.tx.set(['b'], 1);
    second.tx.set(['a'], 1);
    await first.commit();
    await faultOf(ConflictError, second.commit());
  });

  test('serializable names in a conflict the keys that another changed, and only those', async () => {
    const store = await open();
    const session = await begin(store);
    await session.tx.getMany([['a'], ['b'], ['c']]);
    await store.transact(async (tx) => {
      await tx.get(elsewhere);
      tx.set(['a'], 1);
      tx.set(['c'], 1);
      tx.set(['d'], 1);
    });
    session.tx.set(elsewhere, 1);
    const { keys } = await faultOf(ConflictError, session.commit());
    expect(keys).toHaveLength(2);
    expect(keys).toEqual(expect.arrayContaining([['a'], ['c']]));
  });

  test('serializable names what changed among thousands of keys, some of them read again and again', async () => {
    const store = await open();
    const keys = Array.from({ length: 3_000 }, (_, index) => [index]);
    await store.transact((tx) => {
      for (const key of keys) if (key[0] !== 2_999) tx.set(key, 0);
    });
    const session = await begin(store);
    for (let time = 0; time < 2; time++) await session.tx.getMany(keys);
    await store.transact(async (tx) => {
      await tx.get(elsewhere);
      for (const changed of [0, 1_500, 2_999]) tx.set([changed], 1);
    });
    session.tx.set(elsewhere, 1);
    const { keys: told } = await faultOf(ConflictError, session.commit());
    expect(told.map(([index]) => Number(index)).toSorted((a, b) => a - b)).toEqual([0, 1_500, 2_999]);
  });

  test('serializable conflicts when a key that was read as absent is created', async () => {
    const store = await open();
    const session = await begin(store);
    expect(await session.tx.get(key)).toBeUndefined();
    await cross(store, elsewhere, key, 1);
    session.tx.set(elsewhere, 1);
    await faultOf(ConflictError, session.commit());
  });

  test('serializable conflicts when a key was deleted and created again with the same value', async () => {
    const store = await open();
    await put(store, key, 1);
    const session = await begin(store);
    await session.tx.get(key);
    await store.transact((tx) => tx.delete(key));
    await cross(store, elsewhere, key, 1);
    session.tx.set(elsewhere, 1);
    await faultOf(ConflictError, session.commit());
  });

  test('serializable does not conflict over keys that only others read or wrote', async () => {
    const store = await open();
    let runs = 0;
    await store.transact(async (tx) => {
      runs++;
      await tx.get(['read']);
      tx.set(['written'], 1);
      if (runs > 1) return;
      await put(store, ['read', 'longer'], 1);
      await put(store, ['another'], 1);
      await store.transact((other) => other.get(['read']));
    });
    expect(runs).toBeLessThanOrEqual(supports.exactConflicts ? 1 : 2);
  });

  test('serializable conflicts over a read that is merely old, or else commits as if before what made it old', async () => {
    const store = await open();
    const session = await begin(store);
    await session.tx.get(key);
    await put(store, key, 1);
    session.tx.set(elsewhere, 1);
    expect(await commits(session)).toBe(!supports.exactConflicts);
  });

  test('serializable does not conflict over keys that a transaction wrote without reading: the last commit stays', async () => {
    const store = await open();
    const [first, second] = [await begin(store), await begin(store)];
    first.tx.set(key, 'first');
    second.tx.set(key, 'second');
    await second.commit();
    await first.commit();
    expect(await look(store, key)).toBe('first');
  });

  test('serializable takes the snapshot at the first read: what committed before it is no conflict', async () => {
    const store = await open();
    const session = await begin(store);
    session.tx.set(elsewhere, 1);
    await put(store, key, 'committed meanwhile');
    expect(await session.tx.get(key)).toBe('committed meanwhile');
    await session.commit();
  });

  test('serializable keeps every read on the snapshot of the first', async () => {
    const store = await open();
    await put(store, ['a'], 1);
    const session = await begin(store);
    await session.tx.get(['a']);
    await store.transact((tx) => {
      tx.set(['a'], 2);
      tx.set(['b'], 2);
    });
    expect(await session.tx.getMany([['a'], ['b']])).toEqual([1, undefined]);
    expect(await keysOf(session.tx, {})).toEqual([['a']]);
    await session.rollback();
  });

  test('serializable keeps an invariant over two keys that many transactions read and write by turns', async () => {
    const store = await open();
    await put(store, ['on call', 'a'], true);
    await put(store, ['on call', 'b'], true);
    const leave = (who: string): Promise<void> =>
      store.transact(async (tx) => {
        if ((await keysOf(tx, { prefix: ['on call'] })).length > 1) tx.delete(['on call', who]);
      });
    await Promise.all([leave('a'), leave('b')]);
    expect(await store.read((tx) => keysOf(tx, { prefix: ['on call'] }))).toHaveLength(1);
  });
}

function weaker(open: OpenStore): void {
  test('snapshot names in a conflict the key that both wrote', async () => {
    const store = await open();
    const session = await begin(store, { isolation: 'snapshot' });
    await session.tx.getMany([key, ['only read']]);
    await put(store, key, 1);
    await put(store, ['only read'], 1);
    session.tx.set(key, 2);
    expect((await faultOf(ConflictError, session.commit())).keys).toEqual([key]);
  });

  test('snapshot loses no update when transact runs the body again', async () => {
    const store = await open();
    const increment = (): Promise<void> =>
      store.transact(async (tx) => tx.set(key, Number((await tx.get(key)) ?? 0) + 1), { isolation: 'snapshot' });
    await Promise.all(Array.from({ length: 20 }, increment));
    expect(await look(store, key)).toBe(20);
  });

  test('read-committed sees at each read the newest commit, and its own writes before it', async () => {
    const store = await open();
    const session = await begin(store, { isolation: 'read-committed' });
    expect(await session.tx.get(key)).toBeUndefined();
    await put(store, key, 1);
    expect(await session.tx.get(key)).toBe(1);
    await put(store, key, 2);
    expect(await keysOf(session.tx, {})).toEqual([key]);
    expect((await session.tx.getEntry(key))?.value).toBe(2);
    session.tx.set(key, 'own');
    await put(store, key, 3);
    expect(await session.tx.get(key)).toBe('own');
    await session.commit();
    expect(await look(store, key)).toBe('own');
  });

  test('read-committed commits all of its writes at once', async () => {
    const store = await open();
    const session = await begin(store, { isolation: 'read-committed' });
    session.tx.set(['a'], 1);
    session.tx.set(['b'], 1);
    expect(await store.read((tx) => keysOf(tx, {}))).toEqual([]);
    await session.commit();
    expect(await store.read((tx) => keysOf(tx, {}))).toEqual([['a'], ['b']]);
  });
}
