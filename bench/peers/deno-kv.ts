/// <reference path="./deno-kv.d.ts" />
import { join } from 'node:path';
import { type Kv, openKv } from '@deno/kv';
import { type CounterKeys, type Counters, noteOf } from '../read-modify-write.ts';

/** The package's own implementation in JavaScript, several times faster than its SQLite in memory. */
export async function denoKvInMemory(): Promise<Counters> {
  return counters(await openKv(''));
}

export async function denoKvDurable(directory: string): Promise<Counters> {
  return counters(await openKv(join(directory, 'deno.db')));
}

/** Within the limits of one atomic operation. */
const batch = 400;

function counters(kv: Kv): Counters {
  return {
    async fill(keys) {
      for (let from = 0; from < keys.length; from += batch) {
        const atomic = kv.atomic();
        for (const { counter, note } of keys.slice(from, from + batch)) {
          atomic.set(['counter', counter], 0).set(['note', note], noteOf(0));
        }
        await atomic.commit();
      }
    },
    increment: (keys) => increment(kv, keys),
    async counts(keys) {
      const [counter, note] = [await valuesOf(kv, 'counter'), await valuesOf(kv, 'note')];
      return keys.map((key) => ({ counter: Number(counter.get(key.counter)), note: String(note.get(key.note)) }));
    },
    close: async () => kv.close(),
  };
}

/** There are no reads within an atomic operation: what was read is checked, and who lost tries again. */
async function increment(kv: Kv, keys: CounterKeys): Promise<void> {
  for (;;) {
    const entry = await kv.get(['counter', keys.counter]);
    const next = Number(entry.value) + 1;
    const written = await kv.atomic().check(entry).set(entry.key, next).set(['note', keys.note], noteOf(next)).commit();
    if (written.ok) return;
  }
}

async function valuesOf(kv: Kv, prefix: string): Promise<ReadonlyMap<string, unknown>> {
  const values = new Map<string, unknown>();
  for await (const { key, value } of kv.list({ prefix: [prefix] }, { batchSize: 500 })) values.set(key[1] ?? '', value);
  return values;
}
