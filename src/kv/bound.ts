import { AbortedError, DeadlineExceededError, InvalidArgumentError, type SemelError } from './errors.ts';
import type { CallOptions } from './store.ts';
import type { World } from './world.ts';

/** A caller's patience, by time and by signal, over everything that one call waits for. Close it when the call ends. */
export class Bound {
  readonly #ends: boolean;
  /** Rejects what is waited for just now. */
  #giveUp: ((fault: SemelError) => void) | undefined;
  readonly #cancelTimer: (() => void) | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort: (() => void) | undefined;
  #fault: SemelError | undefined;

  /** @throws InvalidArgumentError; AbortedError where the signal has fired already */
  constructor(world: World, { timeoutMs, signal }: CallOptions) {
    requireTimeout('timeoutMs', timeoutMs);
    this.#signal = signal;
    if (signal?.aborted) throw new AbortedError({ cause: signal.reason });
    this.#ends = timeoutMs !== undefined || signal !== undefined;
    if (signal !== undefined) {
      this.#onAbort = () => this.#end(new AbortedError({ cause: signal.reason }));
      signal.addEventListener('abort', this.#onAbort, { once: true });
    }
    if (timeoutMs === undefined) return;
    this.#cancelTimer = world.after(timeoutMs, () => this.#end(new DeadlineExceededError(timeoutMs)));
  }

  /** Why patience ended, where it did. */
  get fault(): SemelError | undefined {
    return this.#fault;
  }

  /**
   * The work's result, or the fault if that comes first. The work itself goes on; it must be told by other means. One call
   * waits for one thing at a time.
   */
  race<T>(work: T | Promise<T>): T | Promise<T> {
    if (!this.#ends) return work;
    // Not `Promise.race`, which would take a promise for the end, and make one more for each side of each race.
    return new Promise((resolve, reject) => {
      this.#giveUp = reject;
      if (this.#fault !== undefined) reject(this.#fault);
      Promise.resolve(work).then(resolve, reject);
    });
  }

  close(): void {
    this.#cancelTimer?.();
    if (this.#onAbort !== undefined) this.#signal?.removeEventListener('abort', this.#onAbort);
  }

  #end(fault: SemelError): void {
    this.#fault ??= fault;
    this.#giveUp?.(this.#fault);
    this.close();
  }
}

/** The longest delay that timers keep; beyond it they would fire at once. */
const timeoutMsMax = 2 ** 31 - 1;

export function requireTimeout(field: string, timeoutMs: unknown): void {
  if (timeoutMs === undefined) return;
  const fits = typeof timeoutMs === 'number' && timeoutMs >= 0 && timeoutMs <= timeoutMsMax;
  if (!fits) throw new InvalidArgumentError(field, timeoutMs, `milliseconds, 0 to ${timeoutMsMax}`);
}
