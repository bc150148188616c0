import type { PostgresStore } from 'semel/postgres';
import { describe, expect, test } from 'vitest';
import { ConflictError, LockTimeoutError } from '../../kv/errors.ts';
import type { Key } from '../../kv/key.ts';
import { lockCases } from '../../testing/store-contract/lock-contract.ts';
import { begin } from '../../testing/store-contract/session.ts';
import { faultOf, keysOf, meeting } from '../../testing/store-contract/shorthand.ts';
import { testDatabase } from './postgres-store.harness.ts';

const database = testDatabase();

/** Two stores on one schema, as two processes have them: neither sees the other's lock table. */
async function twoProcesses(): Promise<readonly [PostgresStore, PostgresStore]> {
  const schema = await database.newSchema();
  return [await database.open({ schema }), await database.open({ schema })];
}

describe('between two processes', () => {
  test.each(lockCases(false))('lock: %s', async (_, held, heldOptions, wanted, wantedOptions, granted) => {
    const [one, other] = await twoProcesses();
    const [holder, asker] = [await begin(one), await begin(other)];
    await holder.tx.lock(held, heldOptions);
    const asking = asker.tx.lock(wanted, { ...wantedOptions, timeoutMs: 0 });
    if (granted) await asking;
    else await faultOf(LockTimeoutError, asking);
  });

  test.each([
    ['a shared lock', ['a']],
    ['a shared range', { prefix: ['a'] }],
  ])('lock of a key within a range that is shared elsewhere is refused after %s, too', async (_, first) => {
    const [one, other] = await twoProcesses();
    const [holder, asker] = [await begin(one), await begin(other)];
    await holder.tx.lock({ prefix: ['r'] }, { mode: 'shared' });
    await asker.tx.lock(first, { mode: 'shared' });
    await faultOf(LockTimeoutError, asker.tx.lock(['r', 'x'], { timeoutMs: 0 }));
    await holder.commit();
    await asker.tx.lock(['r', 'x'], { timeoutMs: 0 });
  });

  test('lock that is refused in a transaction that has begun leaves it as it was, and it commits', async () => {
    const [one, other] = await twoProcesses();
    const [holder, asker] = [await begin(one), await begin(other)];
    await holder.tx.lock(['k']);
    await asker.tx.lock(['mine']);
    await asker.tx.sql('CREATE TEMPORARY TABLE mine (n int) ON COMMIT DROP');
    await faultOf(LockTimeoutError, asker.tx.lock(['k'], { timeoutMs: 0 }));
    await asker.tx.sql('INSERT INTO mine VALUES (1)');
    asker.tx.set(['written'], true);
    await asker.commit();
    expect(await one.read((tx) => tx.get(['written']))).toBe(true);
  });

  test('lock in a deadlock runs one of the two again, and both commit', async () => {
    const stores = await twoProcesses();
    const met = meeting(2);
    let runs = 0;
    const transfer = (store: PostgresStore, [first, second]: readonly [Key, Key]): Promise<void> =>
      store.transact(async (tx) => {
        runs++;
        await tx.lock(first);
        await met();
        await tx.lock(second);
        tx.set(['done', ...first], true);
      });
    await Promise.all([transfer(stores[0], [['x'], ['y']]), transfer(stores[1], [['y'], ['x']])]);
    expect(runs).toBeGreaterThan(2);
    expect(await stores[0].read((tx) => keysOf(tx, { prefix: ['done'] }))).toHaveLength(2);
  });

  test('lock taken in a nested scope is held although that is discarded with its statements', async () => {
    const [one, other] = await twoProcesses();
    const [holder, asker] = [await begin(one), await begin(other)];
    const discarded = holder.tx.nest(async (inner) => {
      await inner.sql('SELECT 1');
      await inner.lock(['k']);
      throw new Error('discarded');
    });
    await expect(discarded).rejects.toThrow('discarded');
    await holder.tx.get(['answered after the lock was taken again']);
    await faultOf(LockTimeoutError, asker.tx.lock(['k'], { timeoutMs: 0 }));
    await holder.commit();
    await asker.tx.lock(['k'], { timeoutMs: 0 });
  });

  test('a write of another process that asked for no lock is not held back, and at serializable the holder conflicts', async () => {
    const [one, other] = await twoProcesses();
    const holder = await begin(one);
    await holder.tx.lock(['k']);
    await holder.tx.get(['k']);
    await other.transact((tx) => tx.set(['k'], 'theirs'));
    holder.tx.set(['k'], 'mine');
    await faultOf(ConflictError, holder.commit());
    expect(await one.read((tx) => tx.get(['k']))).toBe('theirs');
  });
});
