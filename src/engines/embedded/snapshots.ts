/**
 * Which snapshots are in use, oldest first. A snapshot pins the versions that it sees until it is let go.
 *
 * Readers pin the durable sequence, writers the newest one. Each of the two only grows, so in a list apiece the head is
 * the oldest: pinning, letting go and asking for the oldest all take constant time.
 */
export class Snapshots {
  readonly #ofReaders = emptyList();
  readonly #ofWriters = emptyList();

  pin(sequence: number, by: 'reader' | 'writer'): Snapshot {
    const list = by === 'reader' ? this.#ofReaders : this.#ofWriters;
    const last = list.previous;
    const snapshot: Link = { sequence, previous: last, next: list };
    last.next = snapshot;
    list.previous = snapshot;
    return snapshot;
  }

  release(snapshot: Snapshot): void {
    const link = snapshot as Link;
    link.previous.next = link.next;
    link.next.previous = link.previous;
    // Letting go twice then unlinks it from itself.
    link.previous = link;
    link.next = link;
  }

  /** The oldest sequence in use; Infinity where none is. */
  get oldest(): number {
    return Math.min(this.#ofReaders.next.sequence, this.#ofWriters.next.sequence);
  }
}

export interface Snapshot {
  readonly sequence: number;
}

interface Link extends Snapshot {
  previous: Link;
  next: Link;
}

/** The list's own link closes the circle; as a snapshot it would be the youngest of all. */
function emptyList(): Link {
  const list = { sequence: Infinity } as Link;
  list.previous = list;
  list.next = list;
  return list;
}
