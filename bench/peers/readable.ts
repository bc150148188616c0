import { openStore } from 'semel/embedded';
import { type Readable, valueOf } from '../point-reads.ts';
import { openInMemory } from './lmdb.ts';

/** One `get` after the other, as a body would ask. */
export async function semelGet(): Promise<Readable> {
  const store = await filledStore();
  return {
    ...store,
    readAll: (keys) =>
      store.read(async (tx) => {
        const values: unknown[] = [];
        for (const key of keys) values.push(await tx.get([key]));
        return values;
      }),
  };
}

export async function semelGetMany(): Promise<Readable> {
  const store = await filledStore();
  return { ...store, readAll: (keys) => store.read((tx) => tx.getMany(keys.map((key) => [key]))) };
}

/** A batch for filling, within the limits of one transaction. */
const batch = 1_000;

async function filledStore() {
  const store = await openStore();
  return {
    read: store.read.bind(store),
    async fill(keys: readonly string[]): Promise<void> {
      for (let from = 0; from < keys.length; from += batch) {
        await store.transact((tx) => {
          for (const [at, key] of keys.slice(from, from + batch).entries()) tx.set([key], valueOf(from + at));
        });
      }
    },
    close: () => store.close(),
  };
}

export async function lmdbGet(): Promise<Readable> {
  // The values are strings, and so it need not ask what they are.
  const { database, close } = await openInMemory({ encoding: 'string' });
  return {
    async fill(keys) {
      await database.transaction(() => {
        for (const [index, key] of keys.entries()) void database.put(key, valueOf(index));
      });
    },
    readAll(keys) {
      const transaction = database.useReadTransaction();
      try {
        return keys.map((key) => database.get(key, { transaction }));
      } finally {
        transaction.done();
      }
    },
    close,
  };
}

export async function plainMapGet(): Promise<Readable> {
  const values = new Map<string, string>();
  return {
    async fill(keys) {
      for (const [index, key] of keys.entries()) values.set(key, valueOf(index));
    },
    readAll: (keys) => keys.map((key) => values.get(key)),
    close: async () => undefined,
  };
}
