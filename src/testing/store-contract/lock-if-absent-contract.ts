import { describe, expect, test } from 'vitest';
import { ConflictError, LockTimeoutError } from '../../kv/errors.ts';
import { begin } from './session.ts';
import { faultOf, letOthersRun, look, note, type OpenStore, put } from './shorthand.ts';

const key = ['k'];
const other = ['other'];

export function lockIfAbsentContract(open: OpenStore): void {
  describe('lockIfAbsent', () => {
    test('lockIfAbsent locks a key that holds nothing, exclusively, until its attempt ends', async () => {
      const store = await open();
      const [holder, asker] = [await begin(store), await begin(store)];
      expect(await holder.tx.lockIfAbsent(key)).toBe(true);
      expect(await holder.tx.get(key)).toBeUndefined();
      await faultOf(LockTimeoutError, asker.tx.lock(key, { mode: 'shared', timeoutMs: 0 }));
      await faultOf(LockTimeoutError, asker.tx.lockIfAbsent(key, { timeoutMs: 0 }));
      holder.tx.set(key, 'created');
      await holder.commit();
      expect(await look(store, key)).toBe('created');
    });

    test('lockIfAbsent leaves a key alone that holds something, and the read after it tells what', async () => {
      const store = await open();
      await put(store, key, 'there');
      const [holder, asker] = [await begin(store), await begin(store)];
      expect(await holder.tx.lockIfAbsent(key)).toBe(false);
      expect(await holder.tx.get(key)).toBe('there');
      await asker.tx.lock(key, { timeoutMs: 0 });
    });

    test('lockIfAbsent waits for who creates the key, and the read after it finds what that one has created', async () => {
      const store = await open();
      const [holder, asker] = [await begin(store), await begin(store)];
      await holder.tx.lockIfAbsent(key);
      const waiting = asker.tx.lockIfAbsent(key);
      const done: string[] = [];
      note(done, 'asker', waiting);
      await letOthersRun();
      expect(done).toEqual([]);
      holder.tx.set(key, 'created');
      await holder.commit();
      await waiting;
      expect(await asker.tx.get(key)).toBe('created');
      await asker.commit();
    });

    test('lockIfAbsent waits for who gives up, and then has the key', async () => {
      const store = await open();
      const [holder, asker] = [await begin(store), await begin(store)];
      await holder.tx.lockIfAbsent(key);
      const waiting = asker.tx.lockIfAbsent(key);
      await holder.rollback();
      expect(await waiting).toBe(true);
      asker.tx.set(key, 'second');
      await asker.commit();
      expect(await look(store, key)).toBe('second');
    });

    test('lockIfAbsent by many at once lets one of them create the key', async () => {
      const store = await open();
      let created = 0;
      const claim = (): Promise<boolean> =>
        store.transact(async (tx) => {
          await tx.lockIfAbsent(key);
          if ((await tx.get(key)) !== undefined) return false;
          tx.set(key, ++created);
          return true;
        });
      const claims = await Promise.all(Array.from({ length: 20 }, claim));
      expect(claims.filter(Boolean)).toHaveLength(1);
    });

    test('lockIfAbsent keeps nothing of an attempt that conflicts elsewhere', async () => {
      const store = await open();
      const session = await begin(store);
      expect(await session.tx.lockIfAbsent(other)).toBe(true);
      await session.tx.get(key);
      await put(store, key, 1);
      session.tx.set(other, 1);
      session.tx.set(key, 2);
      await faultOf(ConflictError, session.commit());
      expect(await look(store, other)).toBeUndefined();
    });

    test('lockIfAbsent of a present key rests on what it found: a change of it since is a conflict', async () => {
      const store = await open();
      await put(store, key, 1);
      const session = await begin(store);
      expect(await session.tx.lockIfAbsent(key)).toBe(false);
      const found = Number(await session.tx.get(key));
      await put(store, key, 10);
      session.tx.set(key, found + 1);
      await faultOf(ConflictError, session.commit());
      expect(await look(store, key)).toBe(10);
    });
  });
}
