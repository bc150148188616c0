import type { Environment } from './environment.ts';

export interface BudgetOptions {
  /** Retries for each call. Default 0.2. */
  readonly share?: number;
  /** Retries that are free, so that a caller with few calls can retry at all. Default 10. */
  readonly reserve?: number;
}

/**
 * How much of the load may be retries, over all calls of one client. When one call in a hundred fails, each can be retried; when
 * all fail, retrying all of them is what keeps a server down that would have come back. The promise, at every moment:
 *
 *   retries in the last ten seconds <= share x calls in the last ten seconds + reserve
 *
 * as in Finagle's RetryBudget, whose share and window these are. gRPC's counts failures against successes instead and
 * never forgets, so that a caller with few calls is without retries long after an outage.
 */
export class RetryBudget {
  readonly #environment: Environment;
  readonly #share: number;
  readonly #reserve: number;
  /** One for each second of the window, and whatever was before is overwritten when its place comes round. */
  readonly #slots = Array.from({ length: windowSeconds }, () => ({ second: -1, calls: 0, retries: 0 }));

  constructor(environment: Environment, { share = 0.2, reserve = 10 }: BudgetOptions) {
    this.#environment = environment;
    this.#share = share;
    this.#reserve = reserve;
  }

  addCall(): void {
    this.#slotOf(this.#second()).calls += 1;
  }

  /** Whether there may be one more retry. If so, it is spent. */
  takeRetry(): boolean {
    const second = this.#second();
    let calls = 0;
    let retries = 0;
    for (const slot of this.#slots) {
      if (slot.second <= second - windowSeconds) continue;
      calls += slot.calls;
      retries += slot.retries;
    }
    if (retries + 1 > this.#share * calls + this.#reserve) return false;
    this.#slotOf(second).retries += 1;
    return true;
  }

  #second(): number {
    return Math.floor(this.#environment.monotonicMs() / 1_000);
  }

  #slotOf(second: number): { second: number; calls: number; retries: number } {
    const at = second % windowSeconds;
    const found = this.#slots[at];
    if (found?.second === second) return found;
    const fresh = { second, calls: 0, retries: 0 };
    this.#slots[at] = fresh;
    return fresh;
  }
}

/** Long enough that a server's restart is paid by the calls before it, short enough that yesterday's calls pay for nothing. */
const windowSeconds = 10;
