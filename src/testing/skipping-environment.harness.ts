import { realEnvironment, type Environment } from '../client/environment.ts';

/**
 * Time for tests of the client against a real server, which answers when it likes: a pause is over as soon as it begins, and
 * moves the clock by its length; what bounds an attempt stands still until the test says that the time is over.
 */
export class SkippingEnvironment implements Environment {
  /** Every pause so far, in milliseconds. */
  readonly pausesMs: number[] = [];
  readonly #random: () => number;
  #elapsedMs = 0;
  #bounds: (() => void)[] = [];

  constructor(random: () => number = () => 0) {
    this.#random = random;
  }

  now(): number {
    return Date.UTC(2026, 0, 1) + this.#elapsedMs;
  }

  monotonicMs(): number {
    return this.#elapsedMs;
  }

  after(delayMs: number, act: () => void): () => void {
    if (delayMs < pausesBelowMs) {
      this.pausesMs.push(delayMs);
      this.#elapsedMs += delayMs;
      queueMicrotask(act);
      return () => undefined;
    }
    this.#bounds.push(act);
    return () => {
      this.#bounds = this.#bounds.filter((other) => other !== act);
    };
  }

  random(): number {
    return this.#random();
  }

  randomBytes(count: number): Uint8Array {
    return realEnvironment.randomBytes(count);
  }

  /** The time of whatever is bounded just now is over. */
  expire(): void {
    for (const act of this.#bounds.splice(0)) act();
  }
}

/** Between the client's longest default pause, with jitter at its least, and its shortest bound. */
const pausesBelowMs = 9_000;
