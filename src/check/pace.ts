import { pause, type Environment } from '../client/environment.ts';

/** Bounds the rate on average: requests begin when all before them are paid for, so a burst delays what follows it. */
export class Pace {
  readonly #ratePerSecondMax: number;
  readonly #environment: Environment;
  readonly #signal: AbortSignal;
  #freeAtMs = -Infinity;

  constructor(ratePerSecondMax: number, environment: Environment, signal: AbortSignal) {
    this.#ratePerSecondMax = ratePerSecondMax;
    this.#environment = environment;
    this.#signal = signal;
  }

  /** Resolves when so many requests may begin. */
  async admit(requests: number): Promise<void> {
    const nowMs = this.#environment.monotonicMs();
    const beginMs = Math.max(nowMs, this.#freeAtMs);
    this.#freeAtMs = beginMs + (requests * 1_000) / this.#ratePerSecondMax;
    if (beginMs > nowMs) await pause(this.#environment, beginMs - nowMs, this.#signal);
    this.#signal.throwIfAborted();
  }
}
