import { describe, expect, test } from 'vitest';
import { AbortedError, ConflictError, LockTimeoutError } from '../../kv/errors.ts';
import { limits } from '../../kv/limits.ts';
import type { Store } from '../../kv/store.ts';
import { realWorld, type World } from '../../kv/world.ts';
import { begin, type Session } from './session.ts';
import { cross, faultOf, letOthersRun, look, type OpenStore } from './shorthand.ts';
import type { StoreCapabilities } from './store-capabilities.ts';

const key = ['k'];
const other = ['other'];
const shared = { mode: 'shared' } as const;

/** How waiting for a lock ends, and how holding one does. */
export function lockEndContract(open: OpenStore, supports: StoreCapabilities): void {
  describe('lock', () => {
    waits(open, supports);
    release(open);
  });
}

function waits(open: OpenStore, supports: StoreCapabilities): void {
  test('lock with timeoutMs 0 is granted if it is free and refused at once with LockTimeoutError if not', async () => {
    const store = await open();
    const [holder, asker] = [await begin(store), await begin(store)];
    await holder.tx.lock(key, { timeoutMs: 0 });
    const fault = await faultOf(LockTimeoutError, asker.tx.lock(key, { timeoutMs: 0 }));
    expect([fault.timeoutMs, fault.effect]).toEqual([0, 'did-not-happen']);
    expect(fault.target).toContain('k');
  });

  test('lock that is not granted within timeoutMs fails, leaves the queue, and the body may go on', async () => {
    const store = await open();
    const [holder, impatient, patient] = [await begin(store), await begin(store), await begin(store)];
    await holder.tx.lock(key, shared);
    const failing = faultOf(LockTimeoutError, impatient.tx.lock(key, { timeoutMs: 10 }));
    const waiting = patient.tx.lock(key, shared);
    expect((await failing).timeoutMs).toBe(10);
    await waiting;
    impatient.tx.set(other, 'went on');
    await impatient.commit();
    expect(await look(store, other)).toBe('went on');
  });

  test('lock that failed ends transact with LockTimeoutError, without a second run', async () => {
    const store = await open();
    const holder = await begin(store);
    await holder.tx.lock(key);
    let runs = 0;
    const failing = store.transact(async (tx) => {
      runs++;
      tx.set(other, true);
      await tx.lock(key, { timeoutMs: 0 });
    });
    await faultOf(LockTimeoutError, failing);
    expect(runs).toBe(1);
    expect(await look(store, other)).toBeUndefined();
  });

  test('lock whose signal fires leaves the queue with AbortedError, and the body may go on', async () => {
    const store = await open();
    const [holder, aborting, patient] = [await begin(store), await begin(store), await begin(store)];
    await holder.tx.lock(key, shared);
    const caller = new AbortController();
    const failing = faultOf(AbortedError, aborting.tx.lock(key, { signal: caller.signal }));
    const waiting = patient.tx.lock(key, shared);
    caller.abort();
    await failing;
    await waiting;
    await faultOf(AbortedError, aborting.tx.lock(other, { signal: caller.signal }));
    aborting.tx.set(other, 'went on');
    await aborting.commit();
    expect(await look(store, other)).toBe('went on');
  });

  test('lock ends its wait when the signal of its transaction fires', async () => {
    const store = await open();
    const caller = new AbortController();
    const [holder, aborting] = [await begin(store), await begin(store, { signal: caller.signal })];
    await holder.tx.lock(key);
    const waiting = aborting.tx.lock(key);
    waiting.catch(() => undefined);
    caller.abort();
    await faultOf(AbortedError, aborting.commit());
    await expect(waiting).rejects.toThrow();
  });

  if (!supports.injectedWorld) return;

  test('lock waits lockTimeoutMs unless told otherwise, and so does a commit behind a lock', async () => {
    const { world, passAll } = heldTimers();
    const store = await open(world);
    const [holder, asker, writer] = [await begin(store), await begin(store), await begin(store)];
    await holder.tx.lock(key);
    const asking = faultOf(LockTimeoutError, asker.tx.lock(key));
    writer.tx.set(key, 1);
    const committing = faultOf(LockTimeoutError, writer.commit());
    await letOthersRun();
    passAll();
    expect((await asking).timeoutMs).toBe(limits.lockTimeoutMs);
    expect((await committing).timeoutMs).toBe(limits.lockTimeoutMs);
    await holder.commit();
    expect(await look(store, key)).toBeUndefined();
  });
}

/** The real world, but for its long timers: they fire when the test says so. */
function heldTimers(): { world: World; passAll: () => void } {
  const held = new Set<() => void>();
  const after = (delayMs: number, act: () => void): (() => void) => {
    if (delayMs < limits.lockTimeoutMs) return realWorld.after(delayMs, act);
    const timer = (): void => act();
    held.add(timer);
    return () => held.delete(timer);
  };
  return {
    world: { ...realWorld, after },
    passAll(): void {
      for (const act of held) act();
    },
  };
}

function release(open: OpenStore): void {
  const endings: [string, (holder: Session, store: Store) => Promise<unknown>][] = [
    ['commits', (holder) => holder.commit()],
    ['throws', (holder) => holder.rollback()],
    [
      'meets a conflict',
      async (holder, store) => {
        await holder.tx.get(other);
        await cross(store, ['elsewhere'], other, 'competitor');
        holder.tx.set(['elsewhere'], true);
        await faultOf(ConflictError, holder.commit());
      },
    ],
  ];

  test.each(endings)('lock is held until its attempt %s, and then free', async (_, end) => {
    const store = await open();
    const [holder, asker] = [await begin(store), await begin(store)];
    await holder.tx.lock(key);
    await faultOf(LockTimeoutError, asker.tx.lock(key, { timeoutMs: 0 }));
    await end(holder, store);
    await asker.tx.lock(key, { timeoutMs: 0 });
  });

  test('lock of an attempt is free when the next attempt runs', async () => {
    const store = await open();
    let runs = 0;
    await store.transact(async (tx) => {
      if (runs++ === 0) {
        await tx.lock(key);
        await tx.get(other);
        await cross(store, ['elsewhere'], other, 'competitor');
        tx.set(['elsewhere'], true);
      } else {
        await store.transact((competitor) => competitor.lock(key, { timeoutMs: 0 }));
      }
    });
    expect(runs).toBe(2);
  });
}
