/**
 * A member of a ring, a list whose end is its beginning. A new one is a ring of its own, and so is one that has left.
 *
 * For what comes and goes with each transaction. A `Set` would now and then move to a larger table, and the old table,
 * itself garbage that has grown old, would keep alive whatever it held until the next collection of everything.
 */
export class Link {
  #previous: Link = this;
  #next: Link = this;

  get next(): Link {
    return this.#next;
  }

  get isAlone(): boolean {
    return this.#next === this;
  }

  /** Goes in before `other`: where that one stands for the ring itself, at the end. */
  enterBefore(other: Link): void {
    this.#previous = other.#previous;
    this.#next = other;
    this.#previous.#next = this;
    other.#previous = this;
  }

  /** Leaving twice is leaving once. */
  leave(): void {
    this.#previous.#next = this.#next;
    this.#next.#previous = this.#previous;
    this.#previous = this;
    this.#next = this;
  }
}
