import { join } from 'node:path';
import { openStore } from 'semel/embedded';
import type { Key, Store, Transaction, Value } from 'semel';
import { type Counted, type CounterKeys, type Counters, noteOf } from '../read-modify-write.ts';

/** A batch for filling and counting, within the limits of one transaction. */
const batch = 1_000;

export interface SemelOptions {
  readonly durable: boolean;
  /** Lock the key before it is read, as docs/concurrency.md says for a key that everybody wants. */
  readonly lock?: boolean;
}

export function semelCounters({ durable, lock = false }: SemelOptions) {
  return async (directory: string): Promise<Counters> => {
    const store = await openStore(durable ? { directory: join(directory, 'semel') } : {});
    return {
      fill: (keys) => fill(store, keys),
      increment: ({ counter, note }) =>
        store.transact(async (tx) => {
          if (lock) await tx.lock([counter]);
          await increment(tx, [counter], [note]);
        }),
      counts: (keys) => counts(store, keys),
      close: () => store.close(),
    };
  };
}

async function increment(tx: Transaction, counter: Key, note: Key): Promise<void> {
  const next = Number(await tx.get(counter)) + 1;
  tx.set(counter, next);
  tx.set(note, noteOf(next));
}

async function fill(store: Store, keys: readonly CounterKeys[]): Promise<void> {
  for (let from = 0; from < keys.length; from += batch) {
    await store.transact((tx) => {
      for (const { counter, note } of keys.slice(from, from + batch)) {
        tx.set([counter], 0);
        tx.set([note], noteOf(0));
      }
    });
  }
}

async function counts(store: Store, keys: readonly CounterKeys[]): Promise<readonly Counted[]> {
  return store.read(async (tx) => {
    const counters = await tx.getMany(keys.map(({ counter }) => [counter]));
    const notes = await tx.getMany(keys.map(({ note }) => [note]));
    return counters.map((counter, index) => ({ counter: Number(counter), note: textOf(notes[index]) }));
  });
}

function textOf(value: Value | undefined): string {
  return typeof value === 'string' ? value : '';
}
