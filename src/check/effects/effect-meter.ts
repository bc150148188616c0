import { pause, type Environment } from '../../client/environment.ts';
import { CannotRunError } from '../check-error.ts';
import type { Effect } from './effect.ts';
import type { Limits } from '../limits.ts';
import type { Pace } from '../pace.ts';

/** By how much the count rose until now, at rest. Where it should have risen by so much at least, that is waited for. */
export type CountSoFar = (atLeast?: number) => Promise<number>;

/** Who else uses an endpoint is seen where it is used so often. */
const idleLooks = 3;

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
  #restsSinceMsMin = -Infinity;
  #wasRead = false;

  constructor(effect: Effect, limits: Limits, pace: Pace, environment: Environment, signal: AbortSignal) {
    this.#effect = effect;
    this.#limits = limits;
    this.#pace = pace;
    this.#environment = environment;
    this.#signal = signal;
    this.#quietMs = limits.quietMs;
  }

  /** By how much the count rose from before the work until it came to rest; the work can ask it meanwhile. */
  async during(work: (soFar: CountSoFar) => Promise<void>): Promise<number> {
    const before = await this.#rested();
    this.#settled = undefined;
    await work(async (atLeast = 0) => {
      this.#settled ??= await this.#settle();
      if (this.#settled < before + atLeast && (await this.#reach(before + atLeast)))
        this.#settled = await this.#settle();
      return this.#settled - before;
    });
    this.#settled ??= await this.#settle();
    return this.#settled - before;
  }

  /** As `during`, of work that acts, and from now on counts come to rest no sooner than twice what its effect took to show. */
  async learnFrom(work: () => Promise<void>): Promise<number> {
    const before = await this.#rested();
    await work();
    const beganMs = this.#environment.monotonicMs();
    if (!(await this.#reach(before + 1))) return 0;
    this.#quietMs = Math.max(this.#quietMs, 2 * (this.#environment.monotonicMs() - beganMs));
    this.#settled = await this.#settle();
    return this.#settled - before;
  }

  /** By how much the count rises while nothing is sent; 0 where it cannot be read. */
  async riseWhileIdle(): Promise<number> {
    try {
      const before = await this.#count();
      await pause(this.#environment, idleLooks * this.#quietMs, this.#signal);
      return (await this.#count()) - before;
    } catch (error) {
      if (error instanceof CannotRunError) return 0;
      throw error;
    }
  }

  /** Something is sent, so what was counted before does not hold after. */
  disturb(): void {
    this.#settled = undefined;
  }

  /** Something was sent whose end nobody waited for: it may act for so long yet, and no count is at rest before. */
  expectEffectsFor(durationMs: number): void {
    const untilMs = this.#environment.monotonicMs() + Math.min(durationMs, this.#limits.settleMsMax);
    this.#restsSinceMsMin = Math.max(this.#restsSinceMsMin, untilMs - this.#quietMs);
  }

  /** Whether there is a count just now; where a server is being started there may be none. */
  async isReadable(): Promise<boolean> {
    try {
      await this.#read();
      return true;
    } catch (error) {
      if (error instanceof CannotRunError) return false;
      throw error;
    }
  }

  /** @throws CannotRunError where what came to rest has moved since: that cannot be told from what is about to be counted */
  async #rested(): Promise<number> {
    if (this.#settled === undefined) return this.#settle();
    const count = await this.#count();
    if (count === this.#settled) return count;
    throw new CannotRunError(
      `the count went from ${this.#settled} to ${count} after it had rested for ${Math.round(this.#quietMs)} ms, and nothing was sent: ` +
        'either effects show so late (--quiet), or somebody else uses the endpoint',
    );
  }

  /** Whether the count became so much in time. */
  async #reach(wanted: number): Promise<boolean> {
    const beganMs = this.#environment.monotonicMs();
    for (;;) {
      if ((await this.#count()) >= wanted) return true;
      if (this.#environment.monotonicMs() - beganMs > this.#limits.settleMsMax) return false;
      await pause(this.#environment, this.#pollMs, this.#signal);
    }
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
      else if (nowMs - Math.max(sinceMs, this.#restsSinceMsMin) >= this.#quietMs) return count;
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

  /** A count that was there may be missing for a moment: 200 requests at once leave some servers breathless. */
  async #count(): Promise<number> {
    const beganMs = this.#environment.monotonicMs();
    for (;;) {
      try {
        return await this.#read();
      } catch (error) {
        const isOver = this.#environment.monotonicMs() - beganMs > this.#limits.settleMsMax;
        if (!(error instanceof CannotRunError) || !this.#wasRead || isOver) throw error;
      }
      await pause(this.#environment, this.#pollMs, this.#signal);
    }
  }

  async #read(): Promise<number> {
    await this.#pace.admit(1);
    const count = await this.#effect.count({ environment: this.#environment, signal: this.#signal });
    this.#wasRead = true;
    return count;
  }
}
