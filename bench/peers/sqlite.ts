/// <reference path="./better-sqlite3.d.ts" />
import { join } from 'node:path';
import Sqlite, { type Statement } from 'better-sqlite3';
import { type CounterKeys, type Counters, noteOf } from '../read-modify-write.ts';

export async function sqliteInMemory(): Promise<Counters> {
  const tables = open(':memory:');
  return { ...counters(tables), increment: (keys) => tables.transact(() => increment(tables, keys)) };
}

/** A sync a transaction, whoever waits: SQLite has one writer, and it is on this thread. */
export async function sqliteDurable(directory: string): Promise<Counters> {
  const tables = openDurable(directory);
  return { ...counters(tables), increment: (keys) => tables.transact(() => increment(tables, keys)) };
}

/**
 * What a careful user would write: whatever is asked for in one turn goes into one transaction, with one sync. There is no
 * savepoint round each part, so one that fails would take the others with it; none does here, and SQLite is the faster for it.
 */
export async function sqliteBatched(directory: string): Promise<Counters> {
  const tables = openDurable(directory);
  let queue: { readonly keys: CounterKeys; readonly resolve: () => void }[] = [];
  const flush = (): void => {
    const batch = queue;
    queue = [];
    tables.transact(() => {
      for (const { keys } of batch) increment(tables, keys);
    });
    for (const { resolve } of batch) resolve();
  };
  return {
    ...counters(tables),
    increment: (keys) =>
      new Promise((resolve) => {
        if (queue.length === 0) setImmediate(flush);
        queue.push({ keys, resolve });
      }),
  };
}

interface Tables {
  readonly get: Statement;
  readonly set: Statement;
  transact(act: () => void): void;
  close(): void;
}

function openDurable(directory: string): Tables {
  return open(join(directory, 'sqlite.db'), [
    'journal_mode = WAL',
    'synchronous = FULL',
    // In pages. By default a checkpoint comes every thousand, and writers wait for it; this is as durable and much faster.
    'wal_autocheckpoint = 10000',
  ]);
}

function open(path: string, pragmas: readonly string[] = []): Tables {
  const database = new Sqlite(path);
  for (const pragma of pragmas) database.pragma(pragma);
  database.exec('CREATE TABLE entries (key TEXT PRIMARY KEY, value) WITHOUT ROWID');
  const begin = database.prepare('BEGIN IMMEDIATE');
  const commit = database.prepare('COMMIT');
  return {
    get: database.prepare('SELECT value FROM entries WHERE key = ?').pluck(),
    set: database.prepare(
      'INSERT INTO entries (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
    ),
    transact(act) {
      begin.run();
      act();
      commit.run();
    },
    close: () => void database.close(),
  };
}

function increment({ get, set }: Tables, { counter, note }: CounterKeys): void {
  const next = Number(get.get(counter)) + 1;
  set.run(counter, next);
  set.run(note, noteOf(next));
}

function counters(tables: Tables): Pick<Counters, 'fill' | 'counts' | 'close'> {
  return {
    fill: async (keys) =>
      tables.transact(() => {
        for (const { counter, note } of keys) {
          tables.set.run(counter, 0);
          tables.set.run(note, noteOf(0));
        }
      }),
    counts: async (keys) =>
      keys.map(({ counter, note }) => ({
        counter: Number(tables.get.get(counter)),
        note: String(tables.get.get(note)),
      })),
    close: async () => tables.close(),
  };
}
