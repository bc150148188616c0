import assert from 'node:assert/strict';
import type { OpenContender } from './claim.ts';
import { flat, randomIndexes } from './workers.ts';

/** The work of the claim on reads: snapshot after snapshot, each of which reads keys in random order, out of a million. */
export interface Readable {
  /** Puts value `valueOf(index)` at each key. Not timed. */
  fill(keys: readonly string[]): Promise<void>;
  /** Reads these keys on one snapshot. */
  readAll(keys: readonly string[]): Promise<readonly unknown[]> | readonly unknown[];
  close(): Promise<void>;
}

const keyCount = 1_000_000;
/** Enough that taking a snapshot hardly counts. */
const keysInSnapshot = 1_000;

export const valueOf = (index: number): string => String(index).padStart(16, '0');

export function pointReads(open: (directory: string) => Promise<Readable>): OpenContender {
  return async (directory) => {
    const keys = Array.from({ length: keyCount }, (_, index) => flat(`key-${String(index).padStart(12, '0')}`));
    const readable = await open(directory);
    await readable.fill(keys);
    const random = randomIndexes(1);
    return {
      async run(_inFlight, durationMs) {
        let operations = 0;
        let elapsedMs = 0;
        while (elapsedMs < durationMs) {
          const indexes = Array.from({ length: keysInSnapshot }, () => random(keyCount));
          const chosen = indexes.map((index) => keys[index] ?? '');
          const startedMs = performance.now();
          const answer = readable.readAll(chosen);
          const values = Array.isArray(answer) ? answer : await answer;
          elapsedMs += performance.now() - startedMs;
          operations += values.length;
          for (const [at, index] of indexes.entries()) assert.equal(values[at], valueOf(index), 'what was put is read');
        }
        return { operations, elapsedMs };
      },
      close: () => readable.close(),
    };
  };
}
