/** Why a reading was ended. One for all requests, for nobody hears of it. */
export const nobodyWaits: Error = new Error('nobody waits for this response any longer');

/**
 * Whether anybody still waits for what an operation's handler answers. When its transaction is over, nobody does, and whoever still reads a
 * body stops. An AbortSignal would do; but one would be made and fired for each operation, which takes it some microseconds.
 */
export class ReaderInterest {
  readonly #stops = new Set<() => void>();
  #isOver = false;

  get isOver(): boolean {
    return this.#isOver;
  }

  end(): void {
    this.#isOver = true;
    for (const stop of this.#stops) stop();
  }

  /** Has `stop` called at the end, and at once where that has come. Returns how to take it back. */
  onEnd(stop: () => void): () => void {
    if (this.#isOver) stop();
    this.#stops.add(stop);
    return () => void this.#stops.delete(stop);
  }
}
