import type { World } from '../../kv/world.ts';

/** Long work in slices: between two of them, everything else that is runnable runs. It notes the longest. */
export class Slices {
  readonly #world: World;
  readonly #requireSense: () => void;
  #sliceStartedMs: number;
  #longestMs = 0;

  /** `requireSense` throws where going on has lost its sense. */
  constructor(world: World, requireSense: () => void) {
    this.#world = world;
    this.#requireSense = requireSense;
    this.#sliceStartedMs = world.monotonicMs();
  }

  get longestMs(): number {
    return this.#longestMs;
  }

  async between(): Promise<void> {
    this.#longestMs = Math.max(this.#longestMs, this.#world.monotonicMs() - this.#sliceStartedMs);
    await new Promise<void>((resolve) => this.#world.defer(resolve));
    this.#requireSense();
    this.#sliceStartedMs = this.#world.monotonicMs();
  }
}
