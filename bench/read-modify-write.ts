import assert from 'node:assert/strict';
import type { Contender, OpenContender } from './claim.ts';
import { flat, randomIndexes, runWorkers } from './workers.ts';

/**
 * The work of the claims on transactions: read a counter; write it back, greater by one; write a note of about 100 bytes that
 * tells the counter's new value. So each value changes each time (a store may well skip a page that does not), an update
 * that got lost shows in the sum, and one that was torn shows in a note that contradicts its counter.
 */
export interface Counters {
  /** Puts every counter to 0, with its note, however it likes. Not timed. */
  fill(keys: readonly CounterKeys[]): Promise<void>;
  /** The transaction. Its answer means that it is committed, and durable where that is claimed. */
  readonly increment: (keys: CounterKeys) => Promise<void> | void;
  /** What the store holds, for the verification. */
  counts(keys: readonly CounterKeys[]): Promise<readonly Counted[]>;
  close(): Promise<void>;
}

export interface CounterKeys {
  readonly counter: string;
  readonly note: string;
}

export interface Counted {
  readonly counter: number;
  readonly note: string;
}

export const noteOf = (counter: number): string => String(counter).padStart(96, '0');

/** So many that two in flight seldom meet. */
export const manyKeys = 32_768;

export function readModifyWrite(open: (directory: string) => Promise<Counters>, keyCount = manyKeys): OpenContender {
  return async (directory) => {
    const keys = Array.from({ length: keyCount }, (_, index) => {
      const digits = String(index).padStart(8, '0');
      return { counter: flat(`counter-${digits}`), note: flat(`note-${digits}`) };
    });
    const counters = await open(directory);
    await counters.fill(keys);
    return contender(counters, keys);
  };
}

function contender(counters: Counters, keys: readonly CounterKeys[]): Contender {
  const random = randomIndexes(1);
  let total = 0;
  return {
    async run(inFlight, durationMs) {
      const measured = await runWorkers(inFlight, durationMs, () => {
        const chosen = keys[random(keys.length)];
        assert(chosen !== undefined);
        return counters.increment(chosen);
      });
      total += measured.operations;
      verify(await counters.counts(keys), keys.length, total);
      return measured;
    },
    close: () => counters.close(),
  };
}

function verify(counts: readonly Counted[], keyCount: number, total: number): void {
  assert.equal(counts.length, keyCount, 'every counter is there');
  for (const { counter, note } of counts) assert.equal(Number(note), counter, 'a note tells its counter');
  const sum = counts.reduce((before, { counter }) => before + counter, 0);
  assert.equal(sum, total, 'each transaction counted once');
}
