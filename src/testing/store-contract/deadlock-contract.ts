import { describe, expect, test } from 'vitest';
import { DeadlockError } from '../../kv/errors.ts';
import type { Key } from '../../kv/key.ts';
import type { Store, Transaction } from '../../kv/store.ts';
import { begin } from './session.ts';
import { faultOf, keysOf, letOthersRun, look, meeting, type OpenStore } from './shorthand.ts';
import type { StoreCapabilities } from './store-capabilities.ts';

const x = ['x'];
const y = ['y'];
const z = ['z'];

/** The victim is the transaction that began last, counted from its first attempt: so nobody is a victim for ever. */
export function deadlockContract(open: OpenStore, supports: StoreCapabilities): void {
  describe('lock in a deadlock', () => {
    victims(open, supports);
    cycles(open);
    repeats(open);
  });
}

function victims(open: OpenStore, supports: StoreCapabilities): void {
  test.each(['elder', 'younger'])(
    'lock finds a deadlock of two when the %s closes it; the younger is told',
    async (closer) => {
      const store = await open();
      const [elder, younger] = [await begin(store, { label: 'elder' }), await begin(store, { label: 'younger' })];
      await elder.tx.lock(x);
      await younger.tx.lock(y);
      let eldersWait: Promise<void>;
      let youngersWait: Promise<DeadlockError>;
      if (closer === 'younger') {
        eldersWait = elder.tx.lock(y);
        await letOthersRun();
        youngersWait = faultOf(DeadlockError, younger.tx.lock(x));
      } else {
        youngersWait = faultOf(DeadlockError, younger.tx.lock(x));
        await letOthersRun();
        eldersWait = elder.tx.lock(y);
      }
      const fault = await youngersWait;
      expect(fault.effect).toBe('did-not-happen');
      expect(fault.cycle).toEqual([
        { transaction: 'younger', waitsFor: expect.stringContaining('x') },
        { transaction: 'elder', waitsFor: expect.stringContaining('y') },
      ]);
      await faultOf(DeadlockError, younger.commit());
      await eldersWait;
      await elder.commit();
    },
  );

  test('lock refused by a deadlock leaves an attempt that cannot commit, even if the body swallows the error', async () => {
    const store = await open();
    const [elder, younger] = [await begin(store), await begin(store)];
    await elder.tx.lock(x);
    await younger.tx.lock(y);
    const eldersWait = elder.tx.lock(y);
    await faultOf(DeadlockError, younger.tx.lock(x));
    younger.tx.set(['swallowed'], true);
    await faultOf(DeadlockError, younger.commit());
    await eldersWait;
    await elder.commit();
    expect(await look(store, ['swallowed'])).toBeUndefined();
  });

  test('lock finds the deadlock of two that both raise a shared lock', async () => {
    const store = await open();
    const [elder, younger] = [await begin(store), await begin(store)];
    await elder.tx.lock(x, { mode: 'shared' });
    await younger.tx.lock(x, { mode: 'shared' });
    const eldersWait = elder.tx.lock(x);
    await faultOf(DeadlockError, younger.tx.lock(x));
    await faultOf(DeadlockError, younger.commit());
    await eldersWait;
    await elder.commit();
  });

  // Where ranges are inexact no two of them can be held at a time, which lock-contract.ts shows.
  if (supports.exactRangeLocks) overRanges(open);
  // Where commits do not wait they are in no deadlock, which lock-contract.ts shows too.
  if (supports.waitingCommits) overCommits(open);

  test('lock takes a queue for no deadlock', async () => {
    const store = await open();
    const [holder, ...waiting] = await Promise.all(Array.from({ length: 10 }, () => begin(store)));
    await holder?.tx.lock(x);
    const waits = waiting.map(({ tx }) => tx.lock(x));
    await letOthersRun();
    await holder?.commit();
    for (const [index, session] of waiting.entries()) {
      await waits[index];
      await session.commit();
    }
  });
}

function overRanges(open: OpenStore): void {
  test('lock finds a deadlock over ranges', async () => {
    const store = await open();
    const [elder, younger] = [await begin(store), await begin(store)];
    await elder.tx.lock({ prefix: x });
    await younger.tx.lock({ prefix: y });
    const eldersWait = elder.tx.lock(['y', 'inner']);
    await faultOf(DeadlockError, younger.tx.lock(['x', 'inner']));
    await faultOf(DeadlockError, younger.commit());
    await eldersWait;
  });
}

function overCommits(open: OpenStore): void {
  test('lock finds a deadlock of commits that wait for each other’s locks', async () => {
    const store = await open();
    const [elder, younger] = [await begin(store), await begin(store)];
    await elder.tx.lock(x);
    await younger.tx.lock(y);
    elder.tx.set(y, 'elder');
    younger.tx.set(x, 'younger');
    const eldersCommit = elder.commit();
    await faultOf(DeadlockError, younger.commit());
    await eldersCommit;
    expect(await store.read((tx) => tx.getMany([x, y]))).toEqual([undefined, 'elder']);
  });
}

function cycles(open: OpenStore): void {
  test('lock finds a deadlock that a holder of a range closes on one of its keys, past the waiter that it holds up', async () => {
    const store = await open();
    const [holder, writer, reader] = [await begin(store), await begin(store), await begin(store)];
    await holder.tx.lock({ start: ['a'], end: ['z'] }, { mode: 'shared' });
    const writersWait = writer.tx.lock(x);
    await letOthersRun();
    const readersWait = faultOf(DeadlockError, reader.tx.lock(x, { mode: 'shared' }));
    await letOthersRun();
    const holdersWait = holder.tx.lock(x);
    await readersWait;
    await holdersWait;
    await holder.commit();
    await writersWait;
    await writer.commit();
  });

  test.each([
    ['a', ['c', 'b', 'a']],
    ['b', ['a', 'c', 'b']],
    ['c', ['a', 'b', 'c']],
  ])(
    'lock finds a deadlock of three when %s closes it; the youngest, c, is told the whole cycle',
    async (_, asking) => {
      const store = await open();
      const sessions = new Map<string, { holds: Key; wants: Key; tx: Transaction; commit: () => Promise<void> }>();
      for (const [label, holds, wants] of [
        ['a', x, y],
        ['b', y, z],
        ['c', z, x],
      ] as const) {
        const session = await begin(store, { label });
        await session.tx.lock(holds);
        sessions.set(label, { ...session, holds, wants });
      }
      const waits = new Map<string, Promise<unknown>>();
      for (const label of asking) {
        const session = sessions.get(label);
        const wait = session?.tx.lock(session.wants) ?? Promise.reject(new Error(`no session ${label}`));
        waits.set(label, label === 'c' ? faultOf(DeadlockError, wait) : wait);
        await letOthersRun();
      }
      expect(await waits.get('c')).toHaveProperty('cycle', [
        { transaction: 'c', waitsFor: expect.stringContaining('x') },
        { transaction: 'a', waitsFor: expect.stringContaining('y') },
        { transaction: 'b', waitsFor: expect.stringContaining('z') },
      ]);
      await faultOf(DeadlockError, () => sessions.get('c')?.commit());
      for (const label of ['b', 'a']) {
        await waits.get(label);
        await sessions.get(label)?.commit();
      }
    },
  );
}

function repeats(open: OpenStore): void {
  /** Locks its two keys one after the other; in their first attempts all have the first before any asks for the second. */
  async function transfer(
    store: Store,
    {
      label,
      keys: [first, second],
      runs,
      met,
    }: { label: string; keys: [Key, Key]; runs: string[]; met: () => Promise<void> },
  ): Promise<void> {
    await store.transact(
      async (tx) => {
        runs.push(label);
        await tx.lock(first);
        await met();
        await tx.lock(second);
        tx.set(['done', label], 1);
      },
      { label },
    );
  }

  test('lock in a deadlock runs the victim again, and both commit', async () => {
    const store = await open();
    const runs: string[] = [];
    const met = meeting(2);
    await Promise.all([
      transfer(store, { label: 'elder', keys: [x, y], runs, met }),
      transfer(store, { label: 'younger', keys: [y, x], runs, met }),
    ]);
    expect(runs).toEqual(['elder', 'younger', 'younger']);
    expect(await store.read((tx) => keysOf(tx, { prefix: ['done'] }))).toHaveLength(2);
  });

  test('lock in a deadlock of three runs the victims again, and all commit', async () => {
    const store = await open();
    const runs: string[] = [];
    const met = meeting(3);
    await Promise.all([
      transfer(store, { label: 'a', keys: [x, y], runs, met }),
      transfer(store, { label: 'b', keys: [y, z], runs, met }),
      transfer(store, { label: 'c', keys: [z, x], runs, met }),
    ]);
    expect(runs).toEqual(['a', 'b', 'c', 'c']);
    expect(await store.read((tx) => keysOf(tx, { prefix: ['done'] }))).toHaveLength(3);
  });

  test('lock in a deadlock shows the error to a body that catches it, and still runs that body again', async () => {
    const store = await open();
    const caught: unknown[] = [];
    const met = meeting(2);
    const cross = (first: Key, second: Key): Promise<void> =>
      store.transact(async (tx) => {
        await tx.lock(first);
        await met();
        await tx.lock(second).catch((error: unknown) => caught.push(error));
        await tx.add(['done'], 1);
      });
    await Promise.all([cross(x, y), cross(y, x)]);
    expect(caught).toHaveLength(1);
    expect(caught[0]).toBeInstanceOf(DeadlockError);
    expect(await look(store, ['done'])).toBe(2);
  });

  test('lock counts a transaction’s age from its first attempt: a victim that is run again wins over one that began meanwhile', async () => {
    const store = await open();
    const elder = await begin(store);
    await elder.tx.lock(x);
    const holdsY = Promise.withResolvers<void>();
    const newcomerHoldsZ = Promise.withResolvers<void>();
    const newcomerAsks = Promise.withResolvers<void>();
    let runs = 0;
    const victim = store.transact(async (tx) => {
      if (++runs === 1) {
        await tx.lock(y);
        holdsY.resolve();
        await newcomerHoldsZ.promise;
        await tx.lock(x);
      } else {
        await tx.lock(y);
        newcomerAsks.resolve();
        await tx.lock(z);
      }
    });
    await holdsY.promise;
    const newcomer = await begin(store);
    await newcomer.tx.lock(z);
    const eldersWait = elder.tx.lock(y);
    newcomerHoldsZ.resolve();
    await eldersWait;
    await elder.commit();
    await newcomerAsks.promise;
    await faultOf(DeadlockError, newcomer.tx.lock(y));
    await faultOf(DeadlockError, newcomer.commit());
    await victim;
    expect(runs).toBe(2);
  });
}
