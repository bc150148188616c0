/// <reference path="./lmdb.d.ts" />
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Database, open } from 'lmdb';
import { type CounterKeys, type Counters, noteOf } from '../read-modify-write.ts';

/**
 * Without `overlappingSync` a commit's promise means that it is synced, and lmdb syncs a batch of transactions at once. `flushed`
 * is awaited all the same. Not measured here: the same with it.
 */
export async function lmdbDurable(directory: string): Promise<Counters> {
  const database = open({ path: join(directory, 'lmdb.mdb'), overlappingSync: false });
  return {
    ...counters(database),
    async increment(keys) {
      await database.transaction(() => increment(database, keys));
      await database.flushed;
    },
    close: () => database.close(),
  };
}

/** lmdb is always a file; here one without syncs, on a file system in memory where there is one. */
export async function openInMemory(encoding?: {
  readonly encoding: 'string';
}): Promise<{ readonly database: Database; readonly close: () => Promise<void> }> {
  const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
  const directory = await mkdtemp(join(memory, 'semel-bench-'));
  // `useWritemap` writes by memory map, which no crash may interrupt; in memory nothing outlives one anyway.
  const database = open({
    path: join(directory, 'lmdb.mdb'),
    noSync: true,
    overlappingSync: false,
    useWritemap: true,
    ...encoding,
  });
  return {
    database,
    async close() {
      await database.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** `transaction` batches what is asked for in one turn, and runs it on a thread of its own. */
export async function lmdbInMemory(): Promise<Counters> {
  const { database, close } = await openInMemory();
  return {
    ...counters(database),
    increment: (keys) => database.transaction(() => increment(database, keys)),
    close,
  };
}

/** `transactionSync` does without batches and threads: for a store without syncs that may be the faster way. */
export async function lmdbInMemorySync(): Promise<Counters> {
  const { database, close } = await openInMemory();
  return {
    ...counters(database),
    increment: (keys) => database.transactionSync(() => increment(database, keys)),
    close,
  };
}

function increment(database: Database, { counter, note }: CounterKeys): void {
  const next = Number(database.get(counter)) + 1;
  void database.put(counter, next);
  void database.put(note, noteOf(next));
}

function counters(database: Database): Pick<Counters, 'fill' | 'counts'> {
  return {
    fill: (keys) =>
      database.transaction(() => {
        for (const { counter, note } of keys) {
          void database.put(counter, 0);
          void database.put(note, noteOf(0));
        }
      }),
    counts: async (keys) =>
      keys.map(({ counter, note }) => ({ counter: Number(database.get(counter)), note: String(database.get(note)) })),
  };
}
