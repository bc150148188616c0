import { writeSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { type CounterKeys, type Counters, noteOf } from '../read-modify-write.ts';

/** What the work costs where nothing is promised: two writes to a Map, no transaction, no waiting. */
export async function plainMap(): Promise<Counters> {
  const values = new Map<string, unknown>();
  return {
    async fill(keys) {
      for (const { counter, note } of keys) values.set(counter, 0).set(note, noteOf(0));
    },
    increment({ counter, note }) {
      const next = Number(values.get(counter)) + 1;
      values.set(counter, next);
      values.set(note, noteOf(next));
    },
    counts: async (keys) =>
      keys.map(({ counter, note }) => ({ counter: Number(values.get(counter)), note: String(values.get(note)) })),
    close: async () => undefined,
  };
}

interface Versioned {
  readonly value: unknown;
  readonly version: number;
}

/**
 * The least that an optimistic transaction with an asynchronous interface can be: a read that remembers the version, writes
 * kept until the commit, a commit that compares and puts them in place. No ranges, no locks, no snapshots, no history.
 */
export async function optimisticMap(): Promise<Counters> {
  const values = new Map<string, Versioned>();
  let version = 0;
  const attempt = async ({ counter, note }: CounterKeys): Promise<boolean> => {
    const versionsRead = new Map<string, number>();
    const writes = new Map<string, unknown>();
    const get = async (key: string): Promise<unknown> => {
      const entry = values.get(key);
      versionsRead.set(key, entry?.version ?? 0);
      return entry?.value;
    };
    const commit = async (): Promise<boolean> => {
      for (const [key, seen] of versionsRead) if ((values.get(key)?.version ?? 0) !== seen) return false;
      version++;
      for (const [key, value] of writes) values.set(key, { value, version });
      return true;
    };
    const next = Number(await get(counter)) + 1;
    writes.set(counter, next);
    writes.set(note, noteOf(next));
    return commit();
  };
  return {
    async fill(keys) {
      for (const { counter, note } of keys) {
        values.set(counter, { value: 0, version: 0 }).set(note, { value: noteOf(0), version: 0 });
      }
    },
    async increment(keys) {
      while (!(await attempt(keys)));
    },
    counts: async (keys) =>
      keys.map(({ counter, note }) => ({
        counter: Number(values.get(counter)?.value),
        note: String(values.get(note)?.value),
      })),
    close: async () => undefined,
  };
}

/**
 * The least that durability can be: what a transaction wrote is appended to a file, and it waits for one fdatasync, which
 * it shares with whoever came while the sync before it was under way. The values themselves are in a plain Map.
 */
export async function appendAndSync(directory: string): Promise<Counters> {
  const file = await open(join(directory, 'appended'), 'a');
  const { increment, ...rest } = await plainMap();
  const log = new GroupedAppends(file);
  return {
    ...rest,
    increment(keys) {
      void increment(keys);
      return log.append(`${keys.counter}${keys.note}${noteOf(0)}`);
    },
    close: () => file.close(),
  };
}

class GroupedAppends {
  readonly #file: FileHandle;
  #group: string[] = [];
  #written = Promise.withResolvers<void>();
  #running = false;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  append(text: string): Promise<void> {
    this.#group.push(text);
    if (!this.#running) {
      this.#running = true;
      setImmediate(() => this.#flush());
    }
    return this.#written.promise;
  }

  #flush(): void {
    const { resolve, reject } = this.#written;
    writeSync(this.#file.fd, this.#group.join(''));
    this.#group = [];
    this.#written = Promise.withResolvers();
    this.#file.datasync().then(() => {
      resolve();
      if (this.#group.length > 0) this.#flush();
      else this.#running = false;
    }, reject);
  }
}
