import { describe, expect, test } from 'vitest';
import type { Store, Transaction } from '../../kv/store.ts';
import { realWorld, type World } from '../../kv/world.ts';
import type { StoreCapabilities } from './store-capabilities.ts';
import { begin } from './session.ts';
import { cross, look, type OpenStore, put } from './shorthand.ts';

const key = ['k'];

export function clockContract(open: OpenStore, supports: Pick<StoreCapabilities, 'injectedWorld'>): void {
  describe('now', () => {
    now(open);
    if (supports.injectedWorld) injectedClock(open);
    else ownClock(open);
  });
  describe('version', () => version(open));
}

const distantFuture = Date.UTC(2100, 0);

/** The real world, but for its wall clock, which stands where it is put. */
function movableClock(startMs: number): { world: World; moveTo: (nowMs: number) => void } {
  let nowMs = startMs;
  return {
    world: { ...realWorld, now: () => nowMs },
    moveTo(to: number): void {
      nowMs = to;
    },
  };
}

function nowOf(store: Store): Promise<number> {
  return store.read((tx) => tx.now);
}

function now(open: OpenStore): void {
  test('now is whole milliseconds since the epoch, and one number within an attempt', async () => {
    const store = await open();
    await store.transact(async (tx) => {
      const { now } = tx;
      expect(now).toSatisfy(Number.isSafeInteger);
      await put(store, key, 1);
      await tx.get(['other']);
      expect(tx.now).toBe(now);
      await tx.nest((inner) => expect(inner.now).toBe(now));
    });
  });

  test('now takes the snapshot', async () => {
    const store = await open();
    let isFirst = true;
    await store.transact(async (tx) => {
      expect(tx.now).toBeGreaterThan(0);
      if (isFirst) await put(store, key, 'later');
      expect(await tx.get(key)).toBe(isFirst ? undefined : 'later');
      isFirst = false;
    });
  });

  test('now is never earlier than that of a transaction that is visible', async () => {
    const store = await open();
    let newest = 0;
    for (let turn = 0; turn < 50; turn++) {
      await store.transact((tx) => {
        expect(tx.now).toBeGreaterThanOrEqual(newest);
        newest = tx.now;
        tx.set(key, turn);
      });
    }
    expect(await nowOf(store)).toBeGreaterThanOrEqual(newest);
  });
}

function injectedClock(open: OpenStore): void {
  test('now is the clock of the world that the store was given', async () => {
    const { world, moveTo } = movableClock(distantFuture);
    const store = await open(world);
    expect(await nowOf(store)).toBe(distantFuture);
    moveTo(distantFuture + 5);
    expect(await store.transact((tx) => tx.now)).toBe(distantFuture + 5);
  });

  test('now stands still within an attempt while the clock goes on', async () => {
    const { world, moveTo } = movableClock(distantFuture);
    const store = await open(world);
    await store.transact((tx) => {
      expect(tx.now).toBe(distantFuture);
      moveTo(distantFuture + 1_000);
      expect(tx.now).toBe(distantFuture);
    });
    await store.read((tx) => {
      expect(tx.now).toBe(distantFuture + 1_000);
      moveTo(distantFuture + 2_000);
      expect(tx.now).toBe(distantFuture + 1_000);
    });
  });

  test('now does not go back behind what is visible when the clock jumps back', async () => {
    const { world, moveTo } = movableClock(distantFuture);
    const store = await open(world);
    await store.transact((tx) => tx.set(key, tx.now));
    moveTo(distantFuture - 3_600_000);
    expect(await nowOf(store)).toBeGreaterThanOrEqual(distantFuture);
    await store.transact(async (tx) => expect(tx.now).toBeGreaterThanOrEqual(Number(await tx.get(key))));
    await store.transact((tx) => tx.set(key, tx.now));
    expect(await nowOf(store)).toBeGreaterThanOrEqual(Number(await look(store, key)));
  });

  test('now is not earlier than that of a transaction that began before the clock jumped back and committed after', async () => {
    const { world, moveTo } = movableClock(distantFuture);
    const store = await open(world);
    const early = await begin(store);
    early.tx.set(key, early.tx.now);
    moveTo(distantFuture - 3_600_000);
    await put(store, ['other'], 1);
    await early.commit();
    await store.transact(async (tx) => expect(tx.now).toBeGreaterThanOrEqual(Number(await tx.get(key))));
    await store.read(async (tx) => expect(tx.now).toBeGreaterThanOrEqual(Number(await tx.get(key))));
  });
}

function ownClock(open: OpenStore): void {
  test('now is a clock of the engine’s own, not that of the world that the store was given', async () => {
    const store = await open(movableClock(distantFuture).world);
    expect(await nowOf(store)).toBeLessThan(distantFuture);
  });
}

function version(open: OpenStore): void {
  test('version is what entries show after the commit, whichever way they were written', async () => {
    const store = await open();
    await put(store, ['added'], 1);
    const version = await store.transact(async (tx) => {
      const { version } = tx;
      tx.set(key, 1);
      await tx.add(['added'], 1);
      await tx.nest((inner) => {
        expect(inner.version).toBe(version);
        inner.set(['nested'], 1);
      });
      return version;
    });
    await store.read(async (tx) => {
      for (const written of [key, ['added'], ['nested']]) expect((await tx.getEntry(written))?.version).toBe(version);
    });
  });

  test('version is one within an attempt and another in every other, one that was run again or failed included', async () => {
    const store = await open();
    const versions: string[] = [];
    const note = (tx: Transaction): void => {
      versions.push(tx.version);
      expect(tx.version).toBe(versions.at(-1));
    };
    let runs = 0;
    await store.transact(async (tx) => {
      note(tx);
      await tx.get(key);
      if (runs++ === 0) await cross(store, ['other'], key, 1);
      tx.set(['other'], 1);
    });
    const failed = await begin(store);
    note(failed.tx);
    await failed.rollback();
    const concurrent = await Promise.all([begin(store), begin(store), begin(store)]);
    for (const { tx } of concurrent) note(tx);
    for (const session of concurrent) await session.commit();
    expect(versions).toHaveLength(6);
    expect(new Set(versions).size).toBe(6);
  });

  test('version of a key never repeats, over deletion and creation, and values that are the same again', async () => {
    const store = await open();
    const seen: (string | undefined)[] = [];
    for (let turn = 0; turn < 10; turn++) {
      await put(store, key, 'same');
      seen.push((await store.read((tx) => tx.getEntry(key)))?.version);
      await store.transact((tx) => tx.delete(key));
      await store.transact((tx) => tx.add(key, 1));
      seen.push((await store.read((tx) => tx.getEntry(key)))?.version);
    }
    expect(new Set(seen).size).toBe(20);
    expect(seen).not.toContain(undefined);
  });

  test('version of a key stays while nobody writes it', async () => {
    const store = await open();
    await put(store, key, 1);
    const before = await store.read((tx) => tx.getEntry(key));
    await put(store, ['other'], 1);
    await store.transact(async (tx) => {
      expect(await tx.getEntry(key)).toEqual(before);
    });
    expect(await store.read((tx) => tx.getEntry(key))).toEqual(before);
  });
}
