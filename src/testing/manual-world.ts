import { realWorld, type World } from '../kv/world.ts';

/**
 * A world whose clocks stand still until they are moved, so that a test says when something happens instead of sleeping
 * until it has. Its randomness is always 0: pauses with jitter vanish.
 */
export class ManualWorld implements World {
  #wallMs: number;
  #monotonicMs = 0;
  #timers: { readonly atMs: number; readonly act: () => void }[] = [];

  constructor(wallMs = Date.UTC(2026, 0, 1)) {
    this.#wallMs = wallMs;
  }

  now(): number {
    return this.#wallMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  after(delayMs: number, act: () => void): () => void {
    const timer = { atMs: this.#monotonicMs + delayMs, act };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  defer(act: () => void): void {
    realWorld.defer(act);
  }

  random(): number {
    return 0;
  }

  randomBytes(count: number): Uint8Array {
    return realWorld.randomBytes(count);
  }

  /** Timers that are set. */
  get timers(): number {
    return this.#timers.length;
  }

  /** Moves both clocks, and fires on the way what falls due, each at its own time. */
  async advance(byMs: number): Promise<void> {
    const endMs = this.#monotonicMs + byMs;
    for (;;) {
      await turn();
      const due = this.#timers.filter(({ atMs }) => atMs <= endMs).sort((one, other) => one.atMs - other.atMs)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      this.#moveTo(Math.max(due.atMs, this.#monotonicMs));
      due.act();
    }
    this.#moveTo(endMs);
    await turn();
  }

  /** Somebody sets the wall clock; the other one does not notice. */
  jump(byMs: number): void {
    this.#wallMs += byMs;
  }

  #moveTo(monotonicMs: number): void {
    this.#wallMs += monotonicMs - this.#monotonicMs;
    this.#monotonicMs = monotonicMs;
  }
}

/** Resolves when everything that was runnable has run. */
export function turn(): Promise<void> {
  return new Promise((resolve) => realWorld.defer(resolve));
}

const turnsMax = 10_000;

/** Resolves when the condition holds, which must not depend on a clock. */
export async function until(condition: () => boolean): Promise<void> {
  for (let turns = 0; turns < turnsMax; turns++) {
    if (condition()) return;
    await turn();
  }
  throw new Error(`not within ${turnsMax} turns of the event loop: ${condition.toString()}`);
}
