import { Link } from './ring.ts';

/**
 * Which snapshots are in use, oldest first. A snapshot pins the versions that it sees until it is let go.
 *
 * Readers pin the durable sequence, writers the newest one. Each of the two only grows, so in a ring apiece the first is
 * the oldest: pinning, letting go and asking for the oldest all take constant time.
 */
export class Snapshots {
  // The ring's own link; as a snapshot it would be the youngest of all.
  readonly #ofReaders = new Snapshot(Infinity);
  readonly #ofWriters = new Snapshot(Infinity);

  pin(sequence: number, by: 'reader' | 'writer'): Snapshot {
    const snapshot = new Snapshot(sequence);
    snapshot.enterBefore(by === 'reader' ? this.#ofReaders : this.#ofWriters);
    return snapshot;
  }

  release(snapshot: Snapshot): void {
    snapshot.leave();
  }

  /** The oldest sequence in use; Infinity where none is. */
  get oldest(): number {
    return Math.min(oldestOf(this.#ofReaders), oldestOf(this.#ofWriters));
  }
}

export class Snapshot extends Link {
  readonly sequence: number;

  constructor(sequence: number) {
    super();
    this.sequence = sequence;
  }
}

function oldestOf(ring: Snapshot): number {
  return (ring.next as Snapshot).sequence;
}
