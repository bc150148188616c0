import { describe, expect, test } from 'vitest';
import { ConflictError, LockTimeoutError } from '../../kv/errors.ts';
import type { Key, Range } from '../../kv/key.ts';
import type { LockOptions, Transaction } from '../../kv/store.ts';
import { begin, type Session } from './session.ts';
import { cross, faultOf, letOthersRun, look, note, type OpenStore, put } from './shorthand.ts';
import type { StoreCapabilities } from './store-capabilities.ts';

const key = ['k'];
const other = ['other'];
const shared = { mode: 'shared' } as const;
const exclusive = { mode: 'exclusive' } as const;

/** Who may hold a lock beside whom, in which order it is granted, and what it does to snapshots and commits. */
export function lockContract(open: OpenStore, supports: StoreCapabilities): void {
  describe('lock', () => {
    compatibility(open, supports);
    reentrancy(open);
    order(open);
    snapshots(open);
    commitsBehind(open, supports);
    twiceAtATime(open);
    precautions(open);
  });
}

type LockCase = [string, held: Key | Range, LockOptions, wanted: Key | Range, LockOptions, isGranted: boolean];

/** Which lock goes with which. */
export function lockCases(exact: boolean): LockCase[] {
  return [
    ['exclusive excludes exclusive', key, exclusive, key, exclusive, false],
    ['exclusive excludes shared', key, exclusive, key, shared, false],
    ['shared excludes exclusive', key, shared, key, exclusive, false],
    ['shared goes with shared', key, shared, key, shared, true],
    ['exclusive is the default', key, {}, key, {}, false],
    ['a key does not touch another', key, {}, ['k\0'], {}, true],
    ['a key does not touch one that continues it', key, {}, ['k', 'x'], {}, true],
    ['a prefix covers the key that consists of it', { prefix: key }, {}, key, {}, false],
    ['a prefix covers the keys that continue it', { prefix: key }, {}, ['k', 'x'], {}, false],
    ['a prefix covers its neighbours only where ranges are inexact', { prefix: key }, {}, ['kk'], {}, exact],
    ['a key inside keeps a prefix from being locked', ['k', 'x'], {}, { prefix: key }, {}, false],
    ['shared goes with shared over a prefix', { prefix: key }, shared, ['k', 'x'], shared, true],
    ['shared over a prefix excludes exclusive inside', { prefix: key }, shared, ['k', 'x'], {}, false],
    ['a range covers its start', { start: ['b'], end: ['d'] }, {}, ['b'], {}, false],
    ['a range covers its end only where they are inexact', { start: ['b'], end: ['d'] }, {}, ['d'], {}, exact],
    ['ranges that overlap exclude each other', { start: ['b'], end: ['d'] }, {}, { start: ['c'] }, {}, false],
    ['ranges that only touch do only then', { start: ['b'], end: ['d'] }, {}, { start: ['d'] }, {}, exact],
    ['everything covers any key', {}, {}, key, {}, false],
  ];
}

function compatibility(open: OpenStore, { exactRangeLocks }: StoreCapabilities): void {
  test.each(lockCases(exactRangeLocks))('lock: %s', async (_, held, heldOptions, wanted, wantedOptions, granted) => {
    const store = await open();
    const [holder, asker] = [await begin(store), await begin(store)];
    await holder.tx.lock(held, heldOptions);
    const asking = asker.tx.lock(wanted, { ...wantedOptions, timeoutMs: 0 });
    if (granted) await asking;
    else await faultOf(LockTimeoutError, asking);
  });
}

function reentrancy(open: OpenStore): void {
  test('lock of what the transaction holds already is granted at once', async () => {
    const store = await open();
    const { tx } = await begin(store);
    await tx.lock({ prefix: key });
    for (const target of [key, ['k', 'x'], { prefix: key }, { prefix: ['k', 'x'] }]) {
      await tx.lock(target, { timeoutMs: 0 });
      await tx.lock(target, { ...shared, timeoutMs: 0 });
    }
  });

  test('lock asked again as shared stays exclusive', async () => {
    const store = await open();
    const [holder, asker] = [await begin(store), await begin(store)];
    await holder.tx.lock(key);
    await holder.tx.lock(key, shared);
    await faultOf(LockTimeoutError, asker.tx.lock(key, { ...shared, timeoutMs: 0 }));
  });

  test('lock is raised from shared to exclusive at once where nobody else holds it', async () => {
    const store = await open();
    const [holder, asker] = [await begin(store), await begin(store)];
    await holder.tx.lock(key, shared);
    await holder.tx.lock(key, { ...exclusive, timeoutMs: 0 });
    await faultOf(LockTimeoutError, asker.tx.lock(key, { ...shared, timeoutMs: 0 }));
  });

  test('lock is raised from shared to exclusive when the other holders have ended', async () => {
    const store = await open();
    const [holder, reader] = [await begin(store), await begin(store)];
    await holder.tx.lock(key, shared);
    await reader.tx.lock(key, shared);
    const granted: string[] = [];
    const raising = holder.tx.lock(key);
    note(granted, 'raised', raising);
    await letOthersRun();
    expect(granted).toEqual([]);
    await reader.commit();
    await raising;
  });

  test('lock is raised although others wait for it', async () => {
    const store = await open();
    const [holder, asker] = [await begin(store), await begin(store)];
    await holder.tx.lock(key, shared);
    const asking = asker.tx.lock(key);
    await holder.tx.lock(key);
    await holder.commit();
    await asking;
    await asker.commit();
  });
}

function order(open: OpenStore): void {
  async function locksInTurn(sessions: Session[], optionsOf: (index: number) => LockOptions): Promise<string[]> {
    const granted: string[] = [];
    sessions.forEach(({ tx }, index) => note(granted, `${index}`, tx.lock(key, optionsOf(index))));
    for (const session of sessions) {
      await letOthersRun();
      await session.commit();
    }
    return granted;
  }

  test('lock is granted in the order in which it was asked for', async () => {
    const store = await open();
    const sessions = await Promise.all(Array.from({ length: 6 }, () => begin(store)));
    expect(await locksInTurn(sessions, () => exclusive)).toEqual(['0', '1', '2', '3', '4', '5']);
  });

  test('lock as shared does not overtake one that waits as exclusive', async () => {
    const store = await open();
    const [reader, writer, late] = [await begin(store), await begin(store), await begin(store)];
    await reader.tx.lock(key, shared);
    const granted: string[] = [];
    const waits = [writer.tx.lock(key), late.tx.lock(key, shared)] as const;
    note(granted, 'writer', waits[0]);
    note(granted, 'late reader', waits[1]);
    await letOthersRun();
    expect(granted).toEqual([]);
    await reader.commit();
    await waits[0];
    await letOthersRun();
    expect(granted).toEqual(['writer']);
    await writer.commit();
    await waits[1];
    expect(granted).toEqual(['writer', 'late reader']);
  });

  test('lock of a key queues behind a range that waits', async () => {
    const store = await open();
    const [holder, ranger, asker] = [await begin(store), await begin(store), await begin(store)];
    await holder.tx.lock(['k', 'x']);
    const granted: string[] = [];
    const waits = [ranger.tx.lock({ prefix: key }), asker.tx.lock(['k', 'y'])] as const;
    note(granted, 'range', waits[0]);
    note(granted, 'key', waits[1]);
    await letOthersRun();
    expect(granted).toEqual([]);
    await holder.commit();
    await waits[0];
    await letOthersRun();
    expect(granted).toEqual(['range']);
    await ranger.commit();
    await waits[1];
    expect(granted).toEqual(['range', 'key']);
  });
}

function snapshots(open: OpenStore): void {
  test('lock taken before the first read precedes the snapshot: what was committed while it waited is no conflict', async () => {
    const store = await open();
    const [first, second] = [await begin(store), await begin(store)];
    await first.tx.lock(key);
    const waiting = second.tx.lock(key);
    first.tx.set(key, Number((await first.tx.get(key)) ?? 0) + 1);
    await first.commit();
    await waiting;
    second.tx.set(key, Number((await second.tx.get(key)) ?? 0) + 1);
    await second.commit();
    expect(await look(store, key)).toBe(2);
  });

  test('lock lets many read-modify-writes of one key through without a single second run', async () => {
    const store = await open();
    const increment = async (tx: Transaction): Promise<void> => {
      await tx.lock(key);
      tx.set(key, Number((await tx.get(key)) ?? 0) + 1);
    };
    await Promise.all(Array.from({ length: 30 }, () => store.transact(increment, { attemptsMax: 1 })));
    expect(await look(store, key)).toBe(30);
  });

  test('lock taken after the first read does not move the snapshot', async () => {
    const store = await open();
    const session = await begin(store);
    await session.tx.get(key);
    await put(store, key, 'competitor');
    await session.tx.lock(key);
    expect(await session.tx.get(key)).toBeUndefined();
    session.tx.set(key, 'own');
    await faultOf(ConflictError, session.commit());
  });

  test('lock stops no reads: those of others see what was committed last', async () => {
    const store = await open();
    await put(store, key, 1);
    const holder = await begin(store);
    await holder.tx.lock({});
    holder.tx.set(key, 2);
    expect(await look(store, key)).toBe(1);
    expect(await store.transact((tx) => tx.get(key))).toBe(1);
    await holder.commit();
  });
}

function commitsBehind(open: OpenStore, { waitingCommits }: StoreCapabilities): void {
  const writes: [string, Key | Range, LockOptions, (tx: Transaction) => unknown][] = [
    ['sets a locked key', key, {}, (tx) => tx.set(key, 'second')],
    ['deletes a locked key', key, {}, (tx) => tx.delete(key)],
    ['adds to a locked key', key, {}, (tx) => tx.add(key, 1)],
    ['sets a key that is locked as shared', key, shared, (tx) => tx.set(key, 'second')],
    ['creates a key in a locked range', { prefix: ['k'] }, {}, (tx) => tx.set(['k', 'new'], 'second')],
  ];

  test.each(writes)(
    'lock makes a commit wait that %s, and nothing of it is visible meanwhile',
    async (_, target, options, write) => {
      const store = await open();
      const [holder, writer] = [await begin(store), await begin(store)];
      await holder.tx.lock(target, options);
      await write(writer.tx);
      writer.tx.set(other, true);
      const ended: string[] = [];
      const commit = writer.commit();
      note(ended, 'writer', commit);
      await letOthersRun();
      expect(ended).toEqual([]);
      expect(await look(store, other)).toBeUndefined();
      await holder.rollback();
      await commit;
      expect(await look(store, other)).toBe(true);
    },
  );

  test('lock does not make a commit wait that writes other keys, or keys that it locked itself', async () => {
    const store = await open();
    const [holder, writer] = [await begin(store), await begin(store)];
    await holder.tx.lock(key);
    await writer.tx.lock(other);
    writer.tx.set(other, 'other');
    writer.tx.set(['k\0'], 'neighbour');
    await writer.commit();
    expect(await look(store, other)).toBe('other');
    holder.tx.set(key, 'own');
    await holder.commit();
    expect(await look(store, key)).toBe('own');
  });

  test('lock holds back a commit, which is then validated against what the holder committed', async () => {
    const store = await open();
    const [holder, blind, reader] = [await begin(store), await begin(store), await begin(store)];
    await holder.tx.lock(key);
    blind.tx.set(key, 'blind');
    await reader.tx.get(key);
    reader.tx.set(key, 'by what it read');
    const blindCommit = blind.commit();
    const readerCommit = faultOf(ConflictError, reader.commit());
    await letOthersRun();
    holder.tx.set(key, 'holder');
    await holder.commit();
    await blindCommit;
    expect((await readerCommit).keys).toEqual([key]);
    expect(await look(store, key)).toBe('blind');
  });

  test('lock makes a commit wait that has read before, or else its transaction run again behind it', async () => {
    const store = await open();
    const [holder, writer] = [await begin(store), await begin(store)];
    await holder.tx.lock(key);
    await writer.tx.get(other);
    writer.tx.set(key, 'written');
    const ended: string[] = [];
    const commit = waitingCommits ? writer.commit() : faultOf(ConflictError, writer.commit());
    note(ended, 'writer', commit);
    if (waitingCommits) {
      await letOthersRun();
      expect(ended).toEqual([]);
    } else {
      expect(await commit).toHaveProperty('keys', [key]);
    }
    await holder.commit();
    await commit;
    expect(await look(store, key)).toBe(waitingCommits ? 'written' : undefined);
  });

  test('lock asked for after a commit began to wait is granted after that commit', async () => {
    const store = await open();
    const [holder, writer, late] = [await begin(store), await begin(store), await begin(store)];
    await holder.tx.lock(key);
    writer.tx.set(key, 'writer');
    const commit = writer.commit();
    await letOthersRun();
    const waiting = late.tx.lock(key);
    await holder.commit();
    await waiting;
    expect(await late.tx.get(key)).toBe('writer');
    await commit;
  });
}

function twiceAtATime(open: OpenStore): void {
  test('lock asked for twice at a time by one transaction is granted twice', async () => {
    const store = await open();
    const holder = await begin(store);
    await holder.tx.lock(key);
    const both = store.transact((tx) => Promise.all([tx.lock(key), tx.lock(key), tx.lock({ prefix: key })]));
    await letOthersRun();
    await holder.commit();
    await both;
  });

  test('lock that the body left floating does not keep its own commit waiting', async () => {
    const store = await open();
    const holder = await begin(store);
    await holder.tx.lock(key);
    const careless = store.transact((tx) => {
      void tx.lock(key).catch(() => undefined);
      tx.set(key, 1);
    });
    await letOthersRun();
    await holder.commit();
    await careless;
    expect(await look(store, key)).toBe(1);
  });

  test('prepare waits for the locks that the commit would wait for, and the commit then waits for none', async () => {
    const store = await open();
    const holder = await begin(store);
    await holder.tx.lock(key);
    const session = await begin(store);
    session.tx.set(key, 1);
    const done: string[] = [];
    const prepared = session.tx.prepare();
    note(done, 'prepared', prepared);
    await letOthersRun();
    expect(done).toEqual([]);
    await holder.commit();
    await prepared;
    const late = store.transact((tx) => tx.lock(key));
    note(done, 'late', late);
    await letOthersRun();
    expect(done).toEqual(['prepared']);
    await session.commit();
    await late;
  });
}

/** What `transact` locks of its own accord, after a conflict. */
function precautions(open: OpenStore): void {
  test('lock is taken for a body that collided on a key: a crowd on one key collides once each, at most', async () => {
    const store = await open();
    const crowd = 50;
    let runs = 0;
    const increments = Array.from({ length: crowd }, () =>
      store.transact(async (tx) => {
        runs++;
        const count = Number((await tx.get(key)) ?? 0);
        await letOthersRun();
        tx.set(key, count + 1);
      }),
    );
    await Promise.all(increments);
    expect(await look(store, key)).toBe(crowd);
    expect(runs).toBeLessThanOrEqual(2 * crowd);
  });

  test('lock of a key that a collided body only read is shared', async () => {
    const store = await open();
    const holder = await begin(store);
    let runs = 0;
    await store.transact(async (tx) => {
      await tx.get(key);
      if (++runs === 1) {
        await cross(store, other, key, 1);
        await holder.tx.lock(key, shared);
      }
      tx.set(other, runs);
    });
    expect(runs).toBe(2);
    await holder.commit();
  });
}
