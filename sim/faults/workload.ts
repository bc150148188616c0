import { isDeepStrictEqual } from 'node:util';
import type { Key, ReadTransaction, Store, Transaction, Value } from 'semel';

/**
 * What the process under attack does: writers, each of which numbers its operations 1, 2, 3 … and makes the next only when
 * the one before has an answer. What the store then has to hold follows from one number a writer, that of its last operation.
 * An operation overwrites, adds, and deletes, so that half of one, one that is made twice and one that comes back all show.
 */
export const twoWriters: readonly string[] = ['ada', 'bob'];

/** How far each writer has come. */
export type Reached = ReadonlyMap<string, number>;

const slots = 3;
const kept = 5;
/** Large enough that a few operations are worth a checkpoint, small enough for thousands of runs. */
const payload = new Uint8Array(150).fill(7);

export async function operate(tx: Transaction, writer: string, operation: number): Promise<void> {
  for (const [key, value] of written(writer, operation)) tx.set(key, value);
  tx.delete(['kept', writer, operation - kept]);
  await tx.add(['count'], 1);
}

export async function reachedBy(store: Store, writers: readonly string[]): Promise<Reached> {
  const last = await store.read((tx) => tx.getMany(writers.map((writer) => ['last', writer])));
  return new Map(writers.map((writer, index) => [writer, Number(last[index] ?? 0)]));
}

/** What is in a store that every operation up to these has changed, and nothing else. */
export function expectedAt(reached: Reached): ReadonlyMap<string, Value> {
  const content = new Map<string, Value>();
  let count = 0;
  for (const [writer, last] of reached) {
    count += last;
    for (let operation = 1; operation <= last; operation++) {
      for (const [key, value] of written(writer, operation)) content.set(JSON.stringify(key), value);
      content.delete(JSON.stringify(['kept', writer, operation - kept]));
    }
  }
  if (count > 0) content.set('["count"]', count);
  return content;
}

/** The first difference, in words; `undefined` where there is none. */
export async function differenceFrom(tx: ReadTransaction, reached: Reached): Promise<string | undefined> {
  const expected = new Map(expectedAt(reached));
  for await (const { key, value } of tx.scan({})) {
    const name = JSON.stringify(key);
    if (!expected.has(name)) return `${name} is there, and should not be`;
    if (!isDeepStrictEqual(expected.get(name), value)) return `${name} has another value than it should`;
    expected.delete(name);
  }
  const [missing] = expected.keys();
  return missing === undefined ? undefined : `${missing} is missing`;
}

function written(writer: string, operation: number): readonly (readonly [Key, Value])[] {
  const half = { operation, payload };
  return [
    [['slot', writer, operation % slots, 'left'], half],
    [['slot', writer, operation % slots, 'right'], half],
    [['kept', writer, operation], operation],
    [['last', writer], operation],
  ];
}
