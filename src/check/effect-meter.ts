import { pause, type Environment } from '../client/environment.ts';
import { CannotRunError } from './check-error.ts';
import type { Effect } from './effect.ts';
import type { Limits } from './limits.ts';
import type { Pace } from './pace.ts';

/**
 * Says by how much work raised the count. An effect may show later than its answer, so a count counts only when it has not changed
 * for a while. Nobody else may use the operation meanwhile: what others do would be taken for effects of the work.
 */
export class EffectMeter {
  readonly #effect: Effect;
  readonly #environment: Environment;
  readonly #signal: AbortSignal;
  readonly #limits: Limits;
  readonly #pace: Pace;
  #quietMs: number;
  #settled: number | undefined;

  constructor(effect: Effect, limits: Limits, pace: Pace, environment: Environment, signal: AbortSignal) {
    this.#effect = effect;
    this.#limits = limits;
    this.#pace = pace;
    this.#environment = environment;
    this.#signal = signal;
    this.#quietMs = limits.quietMs;
  }

  /** By how much the count rose from before the work until it came to rest. */
  async during(work: () => Promise<void>): Promise<number> {
    const before = this.#settled ?? (await this.#settle());
    await work();
    this.#settled = await this.#settle();
    return this.#settled - before;
  }

  /** As `during`, of work that acts, and from now on counts come to rest no sooner than twice what its effect took to show. */
  async learnFrom(work: () => Promise<void>): Promise<number> {
    const before = this.#settled ?? (await this.#settle());
    await work();
    const beganMs = this.#environment.monotonicMs();
    for (;;) {
      if ((await this.#count()) !== before) break;
      if (this.#environment.monotonicMs() - beganMs > this.#limits.settleMsMax) return 0;
      await pause(this.#environment, this.#pollMs, this.#signal);
    }
    this.#quietMs = Math.max(this.#quietMs, 2 * (this.#environment.monotonicMs() - beganMs));
    this.#settled = await this.#settle();
    return this.#settled - before;
  }

  /** Something is sent, so what was counted before does not hold after. */
  disturb(): void {
    this.#settled = undefined;
  }

  async #settle(): Promise<number> {
    const beganMs = this.#environment.monotonicMs();
    let count = await this.#count();
    let sinceMs = this.#environment.monotonicMs();
    for (;;) {
      await pause(this.#environment, this.#pollMs, this.#signal);
      const next = await this.#count();
      const nowMs = this.#environment.monotonicMs();
      if (next !== count) [count, sinceMs] = [next, nowMs];
      else if (nowMs - sinceMs >= this.#quietMs) return count;
      if (nowMs - beganMs > this.#limits.settleMsMax + this.#quietMs) {
        throw new CannotRunError(
          `the count does not come to rest within ${this.#limits.settleMsMax} ms; does somebody else use the endpoint?`,
        );
      }
    }
  }

  get #pollMs(): number {
    return this.#quietMs / 3;
  }

  async #count(): Promise<number> {
    await this.#pace.admit(1);
    return this.#effect.count({ environment: this.#environment, signal: this.#signal });
  }
}
