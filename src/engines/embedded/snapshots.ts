import { SnapshotTooOldError } from '../../kv/errors.ts';
import { Link } from '../../kv/ring.ts';

/**
 * Which snapshots are in use, oldest first. A snapshot pins the versions that it sees until it is let go, or expires.
 *
 * Readers pin the durable sequence, writers the newest one. Each of the two only grows, so in a ring apiece the first is
 * the oldest: pinning, letting go and asking for the oldest all take constant time. The store's own snapshots, of checkpoints
 * and backups, pin what was durable a moment ago, and are few.
 */
export class Snapshots {
  // The ring's own link; as a snapshot it would be the youngest of all.
  readonly #ofReaders = new Snapshot(Infinity);
  readonly #ofWriters = new Snapshot(Infinity);
  readonly #ofStore = new Set<Snapshot>();

  pin(sequence: number, by: 'reader' | 'writer' | 'store'): Snapshot {
    const snapshot = new Snapshot(sequence);
    if (by === 'store') this.#ofStore.add(snapshot);
    else snapshot.enterBefore(by === 'reader' ? this.#ofReaders : this.#ofWriters);
    return snapshot;
  }

  release(snapshot: Snapshot): void {
    snapshot.leave();
    if (this.#ofStore.size > 0) this.#ofStore.delete(snapshot);
  }

  /** The oldest sequence in use; Infinity where none is. */
  get oldest(): number {
    const oldest = Math.min(first(this.#ofReaders).sequence, first(this.#ofWriters).sequence);
    // Asked for twice a transaction, and there is hardly ever one.
    if (this.#ofStore.size === 0) return oldest;
    return Math.min(oldest, ...Array.from(this.#ofStore, ({ sequence }) => sequence));
  }

  /** The oldest that is not the store's own. Its sequence is Infinity where none is in use. */
  get oldestOfCallers(): Snapshot {
    const reader = first(this.#ofReaders);
    const writer = first(this.#ofWriters);
    return reader.sequence <= writer.sequence ? reader : writer;
  }

  /** Ends those of callers that are older than `sequence`. */
  expire(sequence: number, ageMaxMs: number): void {
    for (const ring of [this.#ofReaders, this.#ofWriters]) {
      for (let oldest = first(ring); oldest.sequence < sequence; oldest = first(ring)) oldest.expire(ageMaxMs);
    }
  }

  /** Every sequence in use, in their order; some maybe twice. */
  inUse(): readonly number[] {
    const sequences = Array.from(this.#ofStore, ({ sequence }) => sequence);
    for (const ring of [this.#ofReaders, this.#ofWriters]) {
      for (let link = ring.next; link !== ring; link = link.next) sequences.push((link as Snapshot).sequence);
    }
    return sequences.sort((a, b) => a - b);
  }
}

export class Snapshot extends Link {
  readonly sequence: number;
  #expiredAfterMs: number | undefined;

  constructor(sequence: number) {
    super();
    this.sequence = sequence;
  }

  /** From now on nothing can be read by it. Whoever pinned it still lets it go. */
  expire(ageMaxMs: number): void {
    this.#expiredAfterMs = ageMaxMs;
    this.leave();
  }

  /** @throws SnapshotTooOldError */
  requireFresh(): void {
    if (this.#expiredAfterMs !== undefined) throw new SnapshotTooOldError(this.#expiredAfterMs);
  }
}

function first(ring: Snapshot): Snapshot {
  return ring.next as Snapshot;
}
