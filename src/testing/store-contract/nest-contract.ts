import { describe, expect, test } from 'vitest';
import { ConflictError, LockTimeoutError, TransactionClosedError } from '../../kv/errors.ts';
import type { Transaction } from '../../kv/store.ts';
import { begin } from './session.ts';
import { cross, faultOf, keysOf, look, type OpenStore, pairsOf, put } from './shorthand.ts';

const key = ['k'];
const other = ['other'];
const failure = new Error('of the nested body');

export function nestContract(open: OpenStore): void {
  describe('nest', () => {
    joins(open);
    discards(open);
    whatStays(open);
    lifetimes(open);
  });
}

/** A nested body that does `act` and then throws. */
async function failingNest(tx: Transaction, act: (inner: Transaction) => unknown): Promise<void> {
  const nested = tx.nest(async (inner) => {
    await act(inner);
    throw failure;
  });
  await expect(nested).rejects.toBe(failure);
}

function joins(open: OpenStore): void {
  test('nest answers what its body returns, and its writes join the transaction', async () => {
    const store = await open();
    await put(store, other, 1);
    await store.transact(async (tx) => {
      tx.set(key, 'outer');
      const answer = await tx.nest(async (inner) => {
        expect(await inner.get(key)).toBe('outer');
        inner.set(key, 'inner');
        inner.delete(other);
        await inner.add(['count'], 2);
        expect(await pairsOf(inner, {})).toEqual([
          [['count'], 2],
          [key, 'inner'],
        ]);
        return 'answer';
      });
      expect(answer).toBe('answer');
      expect(await tx.nest(() => 'at once')).toBe('at once');
      expect(await tx.getMany([key, other, ['count']])).toEqual(['inner', undefined, 2]);
    });
    expect(await store.read((tx) => tx.getMany([key, other, ['count']]))).toEqual(['inner', undefined, 2]);
  });

  test('nest commits nothing by itself', async () => {
    const store = await open();
    const session = await begin(store);
    await session.tx.nest((inner) => inner.set(key, 1));
    expect(await look(store, key)).toBeUndefined();
    await session.rollback();
    expect(await look(store, key)).toBeUndefined();
  });

  test('nest in nest joins step by step', async () => {
    const store = await open();
    await store.transact((tx) =>
      tx.nest(async (middle) => {
        middle.set(['a'], 1);
        await middle.nest((inner) => inner.set(['b'], 1));
        await failingNest(middle, (inner) => inner.set(['c'], 1));
        expect(await keysOf(middle, {})).toEqual([['a'], ['b']]);
      }),
    );
    expect(await store.read((tx) => keysOf(tx, {}))).toEqual([['a'], ['b']]);
  });
}

function discards(open: OpenStore): void {
  test('nest whose body throws throws that error and discards its writes: the transaction is as before and goes on', async () => {
    const store = await open();
    await put(store, ['kept'], 1);
    await store.transact(async (tx) => {
      tx.set(key, 'outer');
      tx.delete(other);
      await tx.add(['count'], 1);
      await failingNest(tx, async (inner) => {
        inner.set(key, 'inner');
        inner.set(other, 'inner');
        inner.set(['new'], 'inner');
        inner.delete(['kept']);
        await inner.add(['count'], 10);
      });
      expect(await pairsOf(tx, {})).toEqual([
        [['count'], 1],
        [key, 'outer'],
        [['kept'], 1],
      ]);
      await tx.add(['count'], 1);
    });
    expect(await store.read((tx) => pairsOf(tx, {}))).toEqual([
      [['count'], 2],
      [key, 'outer'],
      [['kept'], 1],
    ]);
  });

  test('nest whose body throws at once discards too', async () => {
    const store = await open();
    await store.transact(async (tx) => {
      const nested = tx.nest((inner) => {
        inner.set(key, 1);
        throw failure;
      });
      await expect(nested).rejects.toBe(failure);
    });
    expect(await look(store, key)).toBeUndefined();
  });

  test('nest whose body throws discards what joined it from within', async () => {
    const store = await open();
    await store.transact(async (tx) => {
      await failingNest(tx, (middle) => middle.nest((inner) => inner.set(key, 1)));
      expect(await tx.get(key)).toBeUndefined();
    });
    expect(await look(store, key)).toBeUndefined();
  });

  test('nest keeps additions commutative, those that joined and those that were discarded', async () => {
    const store = await open();
    const session = await begin(store);
    await session.tx.nest((inner) => inner.add(key, 1));
    await failingNest(session.tx, (inner) => inner.add(key, 100));
    await store.transact((tx) => tx.add(key, 10));
    await session.commit();
    expect(await look(store, key)).toBe(11);
  });
}

function whatStays(open: OpenStore): void {
  test.each<[string, (tx: Transaction) => Promise<unknown>]>([
    ['get', (tx) => tx.get(key)],
    ['scan', (tx) => keysOf(tx, { prefix: key })],
    ['a refused add', (tx) => tx.add(key, -1, { min: 0 })],
  ])('nest whose body throws leaves its reads to be validated: %s', async (_, read) => {
    const store = await open();
    const session = await begin(store);
    await failingNest(session.tx, read);
    session.tx.set(other, 1);
    await cross(store, other, key, 1);
    expect((await faultOf(ConflictError, session.commit())).keys).toEqual([key]);
  });

  test('nest leaves its locks held, whichever way it ended, until the attempt ends', async () => {
    const store = await open();
    const [holder, asker] = [await begin(store), await begin(store)];
    await holder.tx.nest((inner) => inner.lock(key));
    await failingNest(holder.tx, (inner) => inner.lock(other));
    await faultOf(LockTimeoutError, asker.tx.lock(key, { timeoutMs: 0 }));
    await faultOf(LockTimeoutError, asker.tx.lock(other, { timeoutMs: 0 }));
    await holder.commit();
    await asker.tx.lock(key, { timeoutMs: 0 });
    await asker.tx.lock(other, { timeoutMs: 0 });
  });

  test('nest runs on the snapshot of its transaction, and may be the first to take it', async () => {
    const store = await open();
    const session = await begin(store);
    await session.tx.nest((inner) => inner.get(key));
    await put(store, key, 'later');
    expect(await session.tx.get(key)).toBeUndefined();
    await session.tx.nest(async (inner) => expect(await inner.get(key)).toBeUndefined());
    await session.rollback();
  });
}

function lifetimes(open: OpenStore): void {
  test('nest that nobody waited for keeps its transaction from committing without it', async () => {
    const store = await open();
    const never = Promise.withResolvers<void>();
    const careless = store.transact((tx) => {
      tx.set(key, 1);
      void tx.nest(() => never.promise).catch(() => undefined);
    });
    expect((await faultOf(TransactionClosedError, careless)).effect).toBe('did-not-happen');
    expect(await look(store, key)).toBeUndefined();
  });

  test('nest that outlives the scope in which it was opened does not open that again', async () => {
    const store = await open();
    await store.transact(async (tx) => {
      const end = Promise.withResolvers<void>();
      let inner: Transaction | undefined;
      let innermost: Promise<void> | undefined;
      const outer = tx.nest((scope) => {
        inner = scope;
        innermost = scope.nest(() => end.promise);
      });
      await faultOf(TransactionClosedError, outer);
      end.resolve();
      await innermost?.catch(() => undefined);
      await faultOf(TransactionClosedError, () => inner?.set(key, 'lost'));
      tx.set(key, 'kept');
    });
    expect(await look(store, key)).toBe('kept');
  });

  const uses: [string, (tx: Transaction) => unknown][] = [
    ['get', (tx) => tx.get(key)],
    ['getMany', (tx) => tx.getMany([key])],
    ['getEntry', (tx) => tx.getEntry(key)],
    ['scan', (tx) => keysOf(tx, {})],
    ['set', (tx) => tx.set(key, 'wrong')],
    ['delete', (tx) => tx.delete(key)],
    ['add', (tx) => tx.add(['count'], 1)],
    ['lock', (tx) => tx.lock(key)],
    ['nest', (tx) => tx.nest(() => undefined)],
  ];

  test.each(uses)(
    '%s of a transaction fails with TransactionClosedError while a nested one is open',
    async (_, use) => {
      const store = await open();
      await store.transact(async (tx) => {
        tx.set(key, 'outer');
        await tx.nest(async (inner) => {
          await faultOf(TransactionClosedError, () => use(tx));
          await inner.nest(async () => {
            await faultOf(TransactionClosedError, () => use(tx));
            await faultOf(TransactionClosedError, () => use(inner));
          });
        });
      });
      expect(await store.read((tx) => pairsOf(tx, {}))).toEqual([[key, 'outer']]);
    },
  );

  test.each(uses)('%s of a nested transaction fails with TransactionClosedError after its scope', async (_, use) => {
    const store = await open();
    await store.transact(async (tx) => {
      tx.set(key, 'outer');
      const kept: Transaction[] = [];
      await tx.nest((inner) => void kept.push(inner));
      await failingNest(tx, (inner) => kept.push(inner));
      expect(kept).toHaveLength(2);
      for (const inner of kept) await faultOf(TransactionClosedError, () => use(inner));
    });
    expect(await store.read((tx) => pairsOf(tx, {}))).toEqual([[key, 'outer']]);
  });
}
