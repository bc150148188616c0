import { describe, expect, test } from 'vitest';
import { ConflictError, InvalidArgumentError } from '../../kv/errors.ts';
import { limits } from '../../kv/limits.ts';
import type { AddOutcome, Bounds, Isolation, Transaction } from '../../kv/store.ts';
import type { Value } from '../../kv/value.ts';
import { begin, commits } from './session.ts';
import { faultOf, keysOf, look, type OpenStore, pairsOf, put } from './shorthand.ts';
import type { StoreCapabilities } from './store-capabilities.ts';

const key = ['account'];
const elsewhere = ['elsewhere'];
const ok: AddOutcome = { outcome: 'ok' };

export function additionContract(open: OpenStore, supports: StoreCapabilities): void {
  describe('add', () => {
    sums(open);
    refusals(open);
    badAmounts(open);
    concurrency(open, supports);
    reads(open);
    boundsAtCommit(open);
    boundsTold(open);
  });
}

function sums(open: OpenStore): void {
  test.each<[string, Value | undefined, number | bigint, Value]>([
    ['an absent key as 0 for numbers', undefined, 5, 5],
    ['an absent key as 0 for bigints', undefined, -5n, -5n],
    ['a number', 10, -3, 7],
    ['a bigint', 10n, 2n ** 100n, 10n + 2n ** 100n],
  ])('add counts %s, answers ok and nothing else, and commits the sum', async (_, before, amount, sum) => {
    const store = await open();
    if (before !== undefined) await put(store, key, before);
    expect(await store.transact((tx) => tx.add(key, amount))).toStrictEqual(ok);
    expect(await look(store, key)).toBe(sum);
  });

  const mixtures: [string, (tx: Transaction) => Promise<unknown>, Value | undefined][] = [
    ['set, add', async (tx) => [tx.set(key, 1), await tx.add(key, 2)], 3],
    ['add, set', async (tx) => [await tx.add(key, 2), tx.set(key, 1)], 1],
    ['add, add', async (tx) => [await tx.add(key, 2), await tx.add(key, -5)], 7],
    ['add, delete', async (tx) => [await tx.add(key, 2), tx.delete(key)], undefined],
    ['delete, add', async (tx) => [tx.delete(key), await tx.add(key, 2)], 2],
    ['delete, add of a bigint', async (tx) => [tx.delete(key), await tx.add(key, 2n)], 2n],
    [
      'add, delete, add, set, add',
      async (tx) => {
        await tx.add(key, 1);
        tx.delete(key);
        await tx.add(key, 2);
        tx.set(key, 20);
        await tx.add(key, 3);
      },
      23,
    ],
    ['get, add', async (tx) => [await tx.get(key), await tx.add(key, 2)], 12],
  ];

  test.each(mixtures)('add takes its place among the writes of its transaction: %s', async (_, write, expected) => {
    const store = await open();
    await put(store, key, 10);
    await store.transact(async (tx) => {
      await write(tx);
      expect(await tx.get(key)).toBe(expected);
    });
    expect(await look(store, key)).toBe(expected);
    await put(store, key, 10);
    await store.transact(write);
    expect(await look(store, key)).toBe(expected);
  });

  test('add is seen by every kind of read of its own transaction', async () => {
    const store = await open();
    await put(store, key, 10);
    await store.transact(async (tx) => {
      await tx.add(key, 5);
      expect(await tx.get(key)).toBe(15);
      await tx.add(key, 5);
      expect(await tx.getMany([key])).toEqual([20]);
      await tx.add(key, 5);
      expect((await tx.getEntry(key))?.value).toBe(25);
      await tx.add(key, 5);
      expect(await pairsOf(tx, {})).toEqual([[key, 30]]);
    });
  });

  test('add is invisible to others until the commit', async () => {
    const store = await open();
    const session = await begin(store);
    await session.tx.add(key, 1);
    expect(await look(store, key)).toBeUndefined();
    await session.commit();
    expect(await look(store, key)).toBe(1);
  });
}

function refusals(open: OpenStore): void {
  const safeMax = Number.MAX_SAFE_INTEGER;
  const cases: [string, Value, number | bigint, Bounds, AddOutcome][] = [
    ['down to min', 10, -10, { min: 0 }, ok],
    ['below min', 10, -11, { min: 0 }, { outcome: 'refused', reason: 'below-min' }],
    ['up to max', 10, 5, { min: 0, max: 15 }, ok],
    ['above max', 10, 6, { min: 0, max: 15 }, { outcome: 'refused', reason: 'above-max' }],
    ['below min, of bigints', 10n, -11n, { min: 0n }, { outcome: 'refused', reason: 'below-min' }],
    ['above max, of bigints', 10n, 11n, { max: 20n }, { outcome: 'refused', reason: 'above-max' }],
    ['up to the largest safe integer', safeMax - 1, 1, {}, ok],
    ['beyond the largest safe integer', safeMax, 1, {}, { outcome: 'refused', reason: 'overflow' }],
    ['beyond the smallest safe integer', -safeMax, -1, {}, { outcome: 'refused', reason: 'overflow' }],
    ['up to sumMax', limits.sumMax - 1n, 1n, {}, ok],
    ['beyond sumMax', limits.sumMax, 1n, {}, { outcome: 'refused', reason: 'overflow' }],
    ['down to sumMin', limits.sumMin + 1n, -1n, {}, ok],
    ['beyond sumMin', limits.sumMin, -1n, {}, { outcome: 'refused', reason: 'overflow' }],
    ['to text', '10', 1, {}, { outcome: 'refused', reason: 'not-addable' }],
    ['to null', null, 1, {}, { outcome: 'refused', reason: 'not-addable' }],
    ['of a bigint to a number', 10, 1n, {}, { outcome: 'refused', reason: 'not-addable' }],
    ['of a number to a bigint', 10n, 1, {}, { outcome: 'refused', reason: 'not-addable' }],
  ];

  test.each(cases)('add %s', async (_, before, amount, bounds, outcome) => {
    const store = await open();
    await put(store, key, before);
    await store.transact(async (tx) => {
      expect(await tx.add(key, amount, bounds)).toStrictEqual(outcome);
      tx.set(elsewhere, 'goes on');
    });
    const changed = outcome.outcome === 'ok' && (typeof before === 'bigint' || typeof before === 'number');
    expect(await look(store, key)).toBe(changed ? sumOf(before, amount) : before);
    expect(await look(store, elsewhere)).toBe('goes on');
  });

  test('add checks each addition in its order, against the snapshot and the writes before it', async () => {
    const store = await open();
    await store.transact(async (tx) => {
      const outcomes = [
        await tx.add(key, -1, { min: 0 }),
        await tx.add(key, 5, { max: 5 }),
        await tx.add(key, 1, { max: 5 }),
        await tx.add(key, -5, { min: 0 }),
        await tx.add(key, -1, { min: 0 }),
        await tx.add(key, 1),
        await tx.add(key, -1, { min: 0 }),
      ];
      expect(outcomes.map(({ outcome }) => outcome)).toEqual(['refused', 'ok', 'refused', 'ok', 'refused', 'ok', 'ok']);
    });
    expect(await look(store, key)).toBe(0);
  });

  test('add finds a value of its own transaction that is no number', async () => {
    const store = await open();
    await store.transact(async (tx) => {
      tx.set(key, 'text');
      expect(await tx.add(key, 1)).toStrictEqual({ outcome: 'refused', reason: 'not-addable' });
      expect(await tx.get(key)).toBe('text');
      await tx.add(elsewhere, 1);
      expect(await tx.add(elsewhere, 1n)).toStrictEqual({ outcome: 'refused', reason: 'not-addable' });
    });
  });
}

function sumOf(before: number | bigint, amount: number | bigint): Value {
  return typeof before === 'number' ? before + Number(amount) : before + BigInt(amount);
}

function badAmounts(open: OpenStore): void {
  test.each<[string, unknown]>([
    ['a fraction', 1.5],
    ['NaN', Number.NaN],
    ['infinity', Infinity],
    ['an integer that is not safe', 2 ** 53],
    ['a bigint beyond 128 bits', limits.sumMax + 1n],
    ['a negative bigint beyond 128 bits', limits.sumMin - 1n],
    ['text', '1'],
  ])('add refuses %s as amount with InvalidArgumentError and changes nothing', async (_, amount) => {
    const store = await open();
    await put(store, key, 10);
    await store.transact(async (tx) => {
      await faultOf(InvalidArgumentError, () => tx.add(key, amount as number));
      expect(await tx.get(key)).toBe(10);
      tx.set(elsewhere, 'goes on');
    });
    expect(await store.read((tx) => tx.getMany([key, elsewhere]))).toEqual([10, 'goes on']);
  });
}

function concurrency(open: OpenStore, { commutingAdditions }: StoreCapabilities): void {
  test.each<Isolation>(['serializable', 'snapshot', 'read-committed'])(
    'add to one key by 50 concurrent transactions at %s commits them all in their first run',
    async (isolation) => {
      const store = await open();
      await put(store, key, 100);
      const sessions = await Promise.all(Array.from({ length: 50 }, () => begin(store, { isolation })));
      for (const { tx } of sessions) expect(await tx.add(key, -2, { min: 0 })).toStrictEqual(ok);
      await Promise.all(sessions.map((session) => session.commit()));
      expect(await look(store, key)).toBe(0);
    },
  );

  test('add to an absent key by concurrent transactions commits them all', async () => {
    const store = await open();
    const sessions = [await begin(store), await begin(store)];
    for (const { tx } of sessions) await tx.add(key, 1n);
    for (const session of sessions) await session.commit();
    expect(await look(store, key)).toBe(2n);
  });

  test('add adds to the newest value at commit: a set or a deletion by another is no conflict', async () => {
    const store = await open();
    await put(store, key, 10);
    const afterSet = await begin(store);
    await afterSet.tx.add(key, 1);
    await put(store, key, 100);
    await afterSet.commit();
    expect(await look(store, key)).toBe(101);
    const afterDelete = await begin(store);
    await afterDelete.tx.add(key, 1);
    await store.transact((tx) => tx.delete(key));
    await afterDelete.commit();
    expect(await look(store, key)).toBe(1);
  });

  test('add by a transaction that has read something else commutes too, or else conflicts', async () => {
    const store = await open();
    await put(store, key, 10);
    const session = await begin(store);
    await session.tx.get(elsewhere);
    await session.tx.add(key, 1);
    await store.transact((tx) => tx.add(key, 5));
    expect(await commits(session)).toBe(commutingAdditions);
    expect(await look(store, key)).toBe(commutingAdditions ? 16 : 15);
  });

  test('add conflicts with a transaction that read the key, as any write does', async () => {
    const store = await open();
    await put(store, key, 10);
    const reader = await begin(store);
    await reader.tx.get(key);
    await store.transact(async (tx) => {
      await tx.get(elsewhere);
      await tx.add(key, 1);
    });
    reader.tx.set(elsewhere, true);
    expect((await faultOf(ConflictError, reader.commit())).keys).toEqual([key]);
  });
}

function reads(open: OpenStore): void {
  /** Whether a transaction that did `use` commits although another one added to the key meanwhile. */
  async function survives(use: (tx: Transaction) => Promise<unknown>, expected: boolean): Promise<boolean> {
    const store = await open();
    await put(store, key, 10);
    const session = await begin(store);
    await use(session.tx);
    await store.transact(async (tx) => {
      // Without it, there would be a serial order all the same.
      if (!expected) await tx.get(elsewhere);
      await tx.add(key, 5);
    });
    session.tx.set(elsewhere, true);
    return commits(session);
  }

  test.each<[string, (tx: Transaction) => Promise<unknown>, boolean]>([
    ['add that answered ok registers no read', (tx) => tx.add(key, -10, { min: 0 }), true],
    ['add that was refused registers a read', (tx) => tx.add(key, -11, { min: 0 }), false],
    ['add with a get before it registers a read', async (tx) => [await tx.get(key), await tx.add(key, 1)], false],
    ['add with a get after it registers a read', async (tx) => [await tx.add(key, 1), await tx.get(key)], false],
    [
      'add with a getMany after it registers a read',
      async (tx) => [await tx.add(key, 1), await tx.getMany([key])],
      false,
    ],
    [
      'add with a getEntry after it registers a read',
      async (tx) => [await tx.add(key, 1), await tx.getEntry(key)],
      false,
    ],
    ['add with a scan after it registers a read', async (tx) => [await tx.add(key, 1), await keysOf(tx, {})], false],
  ])('%s', async (_, use, expected) => {
    expect(await survives(use, expected)).toBe(expected);
  });
}

function boundsAtCommit(open: OpenStore): void {
  test('add checks its bound again at commit against the newest value: of two that fit alone, one is run again and refused', async () => {
    const store = await open();
    await put(store, key, 10);
    const outcomes: AddOutcome[] = [];
    const both = Promise.withResolvers<void>();
    const spend = (): Promise<void> =>
      store.transact(async (tx) => {
        outcomes.push(await tx.add(key, -6, { min: 0 }));
        if (outcomes.length === 2) both.resolve();
        await both.promise;
      });
    await Promise.all([spend(), spend()]);
    expect(outcomes).toStrictEqual([ok, ok, { outcome: 'refused', reason: 'below-min' }]);
    expect(await look(store, key)).toBe(4);
  });

  const failing: [string, (tx: Transaction) => Promise<unknown>, (tx: Transaction) => unknown][] = [
    ['a min that no longer holds', (tx) => tx.add(key, -6, { min: 0 }), (tx) => tx.add(key, -6)],
    ['a max that no longer holds', (tx) => tx.add(key, 6, { max: 20 }), (tx) => tx.add(key, 6)],
    ['a sum that now overflows', (tx) => tx.add(key, 6), (tx) => tx.set(key, Number.MAX_SAFE_INTEGER)],
    ['a key that now holds no number', (tx) => tx.add(key, 6), (tx) => tx.set(key, 'text')],
    [
      'a min that no longer holds in between, though it does in sum',
      async (tx) => {
        await tx.add(key, -6, { min: 0 });
        await tx.add(key, 6);
      },
      (tx) => tx.add(key, -6),
    ],
  ];

  test.each(failing)('add conflicts at commit over %s, and the conflict names the key', async (_, use, compete) => {
    for (const isolation of ['serializable', 'snapshot', 'read-committed'] as const) {
      const store = await open();
      await put(store, key, 10);
      const session = await begin(store, { isolation });
      await use(session.tx);
      session.tx.set(elsewhere, true);
      await store.transact(async (tx) => void (await compete(tx)));
      expect((await faultOf(ConflictError, session.commit())).keys).toEqual([key]);
      expect(await look(store, elsewhere)).toBeUndefined();
    }
  });

  test('add does not conflict at commit over a bound that still holds', async () => {
    const store = await open();
    await put(store, key, 10);
    const session = await begin(store);
    await session.tx.add(key, -6, { min: 0 });
    await store.transact((tx) => tx.add(key, -4));
    await session.commit();
    expect(await look(store, key)).toBe(0);
  });

  test('add by many concurrent transactions never passes its bound, and refuses exactly those that do not fit', async () => {
    const store = await open();
    await put(store, key, 10n);
    const outcomes = await Promise.all(
      Array.from({ length: 30 }, () => store.transact((tx) => tx.add(key, -1n, { min: 0n }))),
    );
    expect(outcomes.filter(({ outcome }) => outcome === 'ok')).toHaveLength(10);
    expect(await look(store, key)).toBe(0n);
  });
}

/** An `ok` was told, so it must hold at the commit, whatever becomes of the addition itself. */
function boundsTold(open: OpenStore): void {
  const seats = ['seats'];
  type Act = (tx: Transaction) => unknown;
  const ways: [string, Act][] = [
    ['is replaced by a set', (tx) => tx.set(seats, 0)],
    ['is replaced by a deletion', (tx) => tx.delete(seats)],
  ];
  test.each(ways)('add that %s in its transaction still has its bound checked at commit', async (_, replace) => {
    const store = await open();
    await put(store, seats, 1);
    const session = await begin(store);
    expect(await session.tx.add(seats, -1, { min: 0 })).toStrictEqual(ok);
    replace(session.tx);
    await store.transact((tx) => tx.add(seats, -1, { min: 0 }));
    expect(await commits(session)).toBe(false);
  });

  test('add that a nested scope discards still has its bound checked at commit', async () => {
    const store = await open();
    await put(store, seats, 1);
    const session = await begin(store);
    const discarded = session.tx.nest(async (inner) => {
      expect(await inner.add(seats, -1, { min: 0 })).toStrictEqual(ok);
      throw new Error('discarded');
    });
    await expect(discarded).rejects.toThrow('discarded');
    session.tx.set(elsewhere, 'there were seats');
    await store.transact((tx) => tx.add(seats, -1, { min: 0 }));
    expect(await commits(session)).toBe(false);
    expect(await look(store, elsewhere)).toBeUndefined();
  });

  test('add that a nested scope discards does not conflict over a bound that still holds', async () => {
    const store = await open();
    await put(store, seats, 10);
    const session = await begin(store);
    const discarded = session.tx.nest(async (inner) => {
      await inner.add(seats, -1, { min: 0 });
      throw new Error('discarded');
    });
    await expect(discarded).rejects.toThrow('discarded');
    session.tx.set(elsewhere, 1);
    await store.transact((tx) => tx.add(seats, -1, { min: 0 }));
    expect(await commits(session)).toBe(true);
    expect(await look(store, seats)).toBe(9);
  });
}
