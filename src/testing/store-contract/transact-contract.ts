import { describe, expect, test } from 'vitest';
import { AbortedError, ConflictError, DeadlineExceededError, TransactionClosedError } from '../../kv/errors.ts';
import type { Transaction } from '../../kv/store.ts';
import { begin } from './session.ts';
import { cross, faultOf, keysOf, look, type OpenStore, put } from './shorthand.ts';

const key = ['k'];
const other = ['other'];

export function transactContract(open: OpenStore): void {
  describe('transact', () => {
    outcomes(open);
    retries(open);
    ends(open);
    bounds(open);
  });
}

function outcomes(open: OpenStore): void {
  test('transact answers what its body returns, at once or later', async () => {
    const store = await open();
    expect(await store.transact(() => 'at once')).toBe('at once');
    expect(await store.transact(() => Promise.resolve('later'))).toBe('later');
  });

  test('transact of a body that throws throws that very error, runs it once and leaves nothing', async () => {
    const store = await open();
    await put(store, other, 'before');
    const error = new Error('of the body');
    let runs = 0;
    const failing = store.transact(async (tx) => {
      runs++;
      tx.set(key, 1);
      tx.delete(other);
      await tx.add(['count'], 1);
      throw error;
    });
    await expect(failing).rejects.toBe(error);
    const atOnce = store.transact((tx) => {
      tx.set(key, 1);
      throw error;
    });
    await expect(atOnce).rejects.toBe(error);
    expect(runs).toBe(1);
    expect(await store.read((tx) => keysOf(tx, {}))).toEqual([other]);
  });

  test('transact hands out a transaction that has no commit and no rollback', async () => {
    const store = await open();
    await store.transact((tx) => {
      for (const member of ['commit', 'rollback', 'abort', 'abandon']) expect(member in tx, member).toBe(false);
    });
  });

  test('transact commits all of its writes at once', async () => {
    const store = await open();
    const writer = await begin(store);
    for (const name of 'abc') writer.tx.set(['row', name], name);
    await writer.tx.add(['row', 'd'], 1);
    expect(await store.read((tx) => keysOf(tx, { prefix: ['row'] }))).toEqual([]);
    await writer.commit();
    expect(await store.read((tx) => keysOf(tx, { prefix: ['row'] }))).toHaveLength(4);
  });
}

function retries(open: OpenStore): void {
  test('transact runs the body again on a conflict and commits and answers only what the last run did', async () => {
    const store = await open();
    let runs = 0;
    const answer = await store.transact(async (tx) => {
      const run = ++runs;
      const seen = await tx.get(key);
      if (run === 1) await cross(store, ['written', run], key, 'competitor');
      tx.set(['written', run], true);
      return [run, seen];
    });
    expect(answer).toEqual([2, 'competitor']);
    expect(await store.read((tx) => keysOf(tx, { prefix: ['written'] }))).toEqual([['written', 2]]);
  });

  /** Conflicts on every run, each time on another key, so that no lock on the last one can help. */
  function unlucky(store: Awaited<ReturnType<OpenStore>>, ran: () => void): (tx: Transaction) => Promise<void> {
    let run = 0;
    return async (tx) => {
      ran();
      const contended = ['contended', ++run];
      await tx.get(contended);
      await cross(store, key, contended, true);
      tx.set(key, run);
    };
  }

  test('transact gives up after attemptsMax runs, with a ConflictError that names the keys, and leaves nothing', async () => {
    const store = await open();
    let runs = 0;
    const fault = await faultOf(
      ConflictError,
      store.transact(
        unlucky(store, () => runs++),
        { attemptsMax: 3 },
      ),
    );
    expect(runs).toBe(3);
    expect(fault.keys).toEqual([['contended', 3]]);
    expect(fault.effect).toBe('did-not-happen');
    expect(await look(store, key)).toBeUndefined();
  });

  test('transact stops running the body again when timeoutMs has passed', async () => {
    const store = await open();
    const options = { attemptsMax: Number.MAX_SAFE_INTEGER, timeoutMs: 20 };
    await faultOf(
      DeadlineExceededError,
      store.transact(
        unlucky(store, () => undefined),
        options,
      ),
    );
    expect(await look(store, key)).toBeUndefined();
  });

  test('transact loses no update of many concurrent read-modify-writes of one key', async () => {
    const store = await open();
    const increment = (): Promise<void> =>
      store.transact(async (tx) => tx.set(key, Number((await tx.get(key)) ?? 0) + 1));
    await Promise.all(Array.from({ length: 30 }, increment));
    expect(await look(store, key)).toBe(30);
  });
}

function ends(open: OpenStore): void {
  const uses: [string, (tx: Transaction) => unknown][] = [
    ['get', (tx) => tx.get(key)],
    ['getMany', (tx) => tx.getMany([key])],
    ['getEntry', (tx) => tx.getEntry(key)],
    ['scan', (tx) => keysOf(tx, {})],
    ['set', (tx) => tx.set(key, 'late')],
    ['delete', (tx) => tx.delete(key)],
    ['add', (tx) => tx.add(key, 1)],
    ['lock', (tx) => tx.lock(key)],
    ['nest', (tx) => tx.nest(() => undefined)],
  ];

  test.each(uses)('%s after the attempt fails with TransactionClosedError, however it ended', async (_, use) => {
    const store = await open();
    await put(store, key, 'kept');
    const committed = await begin(store);
    await committed.commit();
    await faultOf(TransactionClosedError, () => use(committed.tx));
    const thrown = await begin(store);
    await thrown.rollback();
    await faultOf(TransactionClosedError, () => use(thrown.tx));
    expect(await look(store, key)).toBe('kept');
  });

  test('set of an attempt that was run again fails in the next run', async () => {
    const store = await open();
    let first: Transaction | undefined;
    await store.transact(async (tx) => {
      if (first === undefined) {
        first = tx;
        await tx.get(key);
        await cross(store, other, key, 'competitor');
      } else {
        await faultOf(TransactionClosedError, () => first?.set(['late'], true));
      }
      tx.set(other, true);
    });
    expect(await look(store, ['late'])).toBeUndefined();
  });

  test('set by a promise that the body left floating does not get in', async () => {
    const store = await open();
    const gate = Promise.withResolvers<void>();
    let floating: Promise<void> | undefined;
    await store.transact((tx) => {
      tx.set(key, 'in time');
      floating = gate.promise.then(() => tx.set(key, 'late'));
    });
    gate.resolve();
    await faultOf(TransactionClosedError, () => floating);
    expect(await look(store, key)).toBe('in time');
  });

  test('scan that outlives its attempt fails at its next step', async () => {
    const store = await open();
    await put(store, ['a'], 1);
    await put(store, ['b'], 2);
    const session = await begin(store);
    const steps = session.tx.scan({})[Symbol.asyncIterator]();
    await steps.next();
    await session.commit();
    await faultOf(TransactionClosedError, () => steps.next());
  });
}

function bounds(open: OpenStore): void {
  /** A body that writes, waits at a gate, and then tries to write more; `late` is what came of that. */
  function hangingBody(): {
    running: Promise<void>;
    body: (tx: Transaction) => Promise<void>;
    release: () => void;
    late: Promise<TransactionClosedError>;
  } {
    const running = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const late = Promise.withResolvers<TransactionClosedError>();
    const body = async (tx: Transaction): Promise<void> => {
      tx.set(key, 1);
      running.resolve();
      await gate.promise;
      late.resolve(faultOf(TransactionClosedError, () => tx.set(other, 1)));
    };
    return { running: running.promise, body, release: () => gate.resolve(), late: late.promise };
  }

  test('transact fences a body that hangs past timeoutMs: nothing is written, late writes and a late return fail', async () => {
    const store = await open();
    const hanging = hangingBody();
    const fault = await faultOf(DeadlineExceededError, store.transact(hanging.body, { timeoutMs: 10 }));
    expect([fault.timeoutMs, fault.effect]).toEqual([10, 'did-not-happen']);
    hanging.release();
    await hanging.late;
    expect(await store.read((tx) => keysOf(tx, {}))).toEqual([]);
  });

  test('transact ends when its signal fires before the commit: nothing is written, late writes and a late return fail', async () => {
    const store = await open();
    const caller = new AbortController();
    const hanging = hangingBody();
    const outcome = store.transact(hanging.body, { signal: caller.signal });
    await hanging.running;
    caller.abort();
    expect((await faultOf(AbortedError, outcome)).effect).toBe('did-not-happen');
    hanging.release();
    await hanging.late;
    expect(await store.read((tx) => keysOf(tx, {}))).toEqual([]);
  });

  test('transact with a signal that has fired already writes nothing', async () => {
    const store = await open();
    await faultOf(
      AbortedError,
      store.transact((tx) => tx.set(key, 1), { signal: AbortSignal.abort() }),
    );
    expect(await look(store, key)).toBeUndefined();
  });

  test('transact bounds the waits of its body for locks too', async () => {
    const store = await open();
    const holder = await begin(store);
    await holder.tx.lock(key);
    const body = (tx: Transaction): Promise<void> => tx.lock(key, { timeoutMs: 60_000 });
    await faultOf(DeadlineExceededError, store.transact(body, { timeoutMs: 10 }));
    await holder.commit();
    await store.transact((tx) => tx.lock(key, { timeoutMs: 0 }));
  });

  test('transact bounds the wait of its commit for a lock too', async () => {
    const store = await open();
    const holder = await begin(store);
    await holder.tx.lock(key);
    await faultOf(
      DeadlineExceededError,
      store.transact((tx) => tx.set(key, 1), { timeoutMs: 10 }),
    );
    await holder.commit();
    expect(await look(store, key)).toBeUndefined();
  });

  test('transact frees the locks of a body that was fenced', async () => {
    const store = await open();
    const body = async (tx: Transaction): Promise<void> => {
      await tx.lock(key);
      await new Promise(() => undefined);
    };
    await faultOf(DeadlineExceededError, store.transact(body, { timeoutMs: 10 }));
    await store.transact((tx) => tx.lock(key, { timeoutMs: 0 }));
  });
}
