import type { Measured } from './claim.ts';

/**
 * Keeps `inFlight` operations under way for about `durationMs`. An operation that answers no promise is done at once, and its
 * contender pays for no promise either.
 */
export async function runWorkers(
  inFlight: number,
  durationMs: number,
  operation: () => Promise<void> | void,
): Promise<Measured> {
  let operations = 0;
  const startedMs = performance.now();
  const endMs = startedMs + durationMs;
  const worker = async (): Promise<void> => {
    while (performance.now() < endMs) {
      const done = operation();
      if (done !== undefined) await done;
      operations++;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  return { operations, elapsedMs: performance.now() - startedMs };
}

/** Marsaglia's xorshift32: the same sequence in each run, and cheap beside what is measured. */
export function randomIndexes(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** A string that was put together by concatenation is a tree inside V8; one made from bytes is flat, as keys off the wire are. */
export function flat(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}
