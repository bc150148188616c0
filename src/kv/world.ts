import { randomBytes } from 'node:crypto';

/**
 * Everything that is not a function of its arguments: time, timers and randomness. It is injected, so that the whole
 * library runs under a simulator, and a test moves the clock instead of sleeping. (The disk belongs to the embedded engine.)
 */
export interface World {
  /** Wall clock, whole milliseconds since the Unix epoch. It may jump both ways. */
  now(): number;
  /** Milliseconds since an arbitrary origin; never goes back. For measuring and for deadlines. */
  monotonicMs(): number;
  /** Calls `act` once, no sooner than `delayMs` from now. The answer cancels it. */
  after(delayMs: number, act: () => void): () => void;
  /** Calls `act` when what is already runnable has run. */
  defer(act: () => void): void;
  /** A fraction, 0 <= n < 1. */
  random(): number;
  /** Unpredictable bytes. */
  randomBytes(count: number): Uint8Array;
}

export const realWorld: World = Object.freeze({
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs: number, act: () => void): () => void {
    const timer = setTimeout(act, delayMs);
    return () => clearTimeout(timer);
  },
  defer: (act: () => void) => void setImmediate(act),
  random: () => Math.random(),
  randomBytes: (count: number) => new Uint8Array(randomBytes(count)),
});
