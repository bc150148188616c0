import { describe, expect, test } from 'vitest';
import { AbortedError, DeadlineExceededError, StoreClosedError, TransactionClosedError } from '../../kv/errors.ts';
import type { ReadTransaction } from '../../kv/store.ts';
import { begin } from './session.ts';
import { faultOf, keysOf, look, type OpenStore, put } from './shorthand.ts';

const key = ['k'];

export function readContract(open: OpenStore): void {
  describe('read', () => {
    snapshot(open);
    ending(open);
  });
}

function snapshot(open: OpenStore): void {
  test('read sees whatever was acknowledged before it began', async () => {
    const store = await open();
    for (let value = 1; value <= 20; value++) {
      await put(store, key, value);
      expect(await look(store, key)).toBe(value);
    }
  });

  test('read stays on one snapshot, runs once and never conflicts, whatever others commit meanwhile', async () => {
    const store = await open();
    await put(store, ['a'], 1);
    let runs = 0;
    const seen = await store.read(async (tx) => {
      runs++;
      const before = await tx.getMany([['a'], ['b']]);
      await store.transact((other) => {
        other.set(['a'], 2);
        other.set(['b'], 2);
      });
      const after = [await tx.get(['a']), (await tx.getEntry(['b']))?.value, await keysOf(tx, {})];
      return [before, after];
    });
    expect(seen).toEqual([
      [1, undefined],
      [1, undefined, [['a']]],
    ]);
    expect(runs).toBe(1);
    expect(await look(store, ['b'])).toBe(2);
  });

  test('read sees all of a commit or nothing of it', async () => {
    const store = await open();
    const totals = new Set<unknown>();
    const writers = Array.from({ length: 20 }, (_, index) =>
      store.transact((tx) => {
        tx.set(['a'], index);
        tx.set(['b'], -index);
      }),
    );
    const readers = Array.from({ length: 20 }, () =>
      store.read(async (tx) => totals.add(Number((await tx.get(['a'])) ?? 0) + Number((await tx.get(['b'])) ?? 0))),
    );
    await Promise.all([...writers, ...readers]);
    expect([...totals]).toEqual([0]);
  });

  test('read waits for no lock and for no transaction that is under way', async () => {
    const store = await open();
    await put(store, key, 1);
    const holder = await begin(store);
    await holder.tx.lock({});
    holder.tx.set(key, 2);
    expect(await look(store, key)).toBe(1);
    await holder.commit();
  });

  test('read hands out a transaction that cannot write, lock or commit', async () => {
    const store = await open();
    const tx = await store.read((reading) => reading);
    for (const member of ['set', 'delete', 'add', 'lock', 'nest', 'commit', 'rollback', 'version']) {
      expect(member in tx, member).toBe(false);
    }
  });
}

function ending(open: OpenStore): void {
  test('read answers what its body returns, at once or later, and throws what it throws', async () => {
    const store = await open();
    expect(await store.read(() => 'at once')).toBe('at once');
    expect(await store.read(() => Promise.resolve('later'))).toBe('later');
    const error = new Error('of the body');
    const atOnce = (): never => {
      throw error;
    };
    await expect(store.read(atOnce)).rejects.toBe(error);
    await expect(store.read(() => Promise.reject(error))).rejects.toBe(error);
  });

  test('read ends its transaction with the body', async () => {
    const store = await open();
    await put(store, key, 1);
    let kept: ReadTransaction | undefined;
    await store.read((tx) => {
      kept = tx;
    });
    await faultOf(TransactionClosedError, () => kept?.get(key));
    await faultOf(TransactionClosedError, () => kept?.getMany([key]));
    await faultOf(TransactionClosedError, () => kept?.getEntry(key));
    await faultOf(TransactionClosedError, () => kept && keysOf(kept, {}));
  });

  test('read of a body that hangs ends at timeoutMs, and its transaction with it', async () => {
    const store = await open();
    const hanging = Promise.withResolvers<void>();
    const late = Promise.withResolvers<unknown>();
    const reading = store.read(
      async (tx) => {
        await hanging.promise;
        late.resolve(await faultOf(TransactionClosedError, () => tx.get(key)));
      },
      { timeoutMs: 10 },
    );
    expect((await faultOf(DeadlineExceededError, reading)).timeoutMs).toBe(10);
    hanging.resolve();
    await late.promise;
  });

  test('read of a body that hangs ends when its signal fires', async () => {
    const store = await open();
    const caller = new AbortController();
    const running = Promise.withResolvers<void>();
    const reading = store.read(
      () => {
        running.resolve();
        return new Promise(() => undefined);
      },
      { signal: caller.signal },
    );
    await running.promise;
    caller.abort();
    await faultOf(AbortedError, reading);
    await faultOf(
      AbortedError,
      store.read((tx) => tx.get(key), { signal: caller.signal }),
    );
  });

  test('read and transact of a closed store are refused with StoreClosedError', async () => {
    const store = await open();
    await put(store, key, 1);
    await store.close();
    await faultOf(
      StoreClosedError,
      store.read((tx) => tx.get(key)),
    );
    await faultOf(StoreClosedError, put(store, key, 2));
  });
}
