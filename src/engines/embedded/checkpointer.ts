import { assert } from '../../kv/assert.ts';
import { StoreClosedError } from '../../kv/errors.ts';
import type { Database } from './database.ts';
import type { Disk } from './disk.ts';
import { saltBytes } from './log-format.ts';
import { checkpointName } from './log-segment.ts';
import type { Boundary, Log } from './log.ts';
import { Slices } from './slices.ts';
import { stateEntries } from './state-entries.ts';
import { writeStateFile } from './state-file.ts';

/**
 * Keeps the log short: writes the state as it was at the end of a segment into a file of its own, and lets the log up to there
 * go. Writers go on meanwhile.
 *
 * *Idle* → *running*, when the log since the last checkpoint is longer than a checkpoint is worth, or when asked to. The log
 * goes over to a new segment; in that very turn the durable state is pinned. It is written in slices, with everything else
 * that is runnable between them, then synced and read back; then the log gives it its name, and removes what it replaces. →
 * *idle*, also where any of this fails: the log has everything still, so that costs nothing but the room. Then it is tried again
 * when the log has grown by as much as makes it due.
 */
export class Checkpointer {
  readonly #options: CheckpointerOptions;
  #running: Promise<void> | undefined;
  #lastBytes: number;
  #dueAtBytes: number;
  #isClosing = false;

  constructor(options: CheckpointerOptions, lastBytes: number) {
    this.#options = options;
    this.#lastBytes = lastBytes;
    this.#dueAtBytes = this.#worthBytes;
  }

  /** Writes one if it is due. */
  consider(): void {
    if (this.#running !== undefined || this.#isClosing || this.#options.log.bytes < this.#dueAtBytes) return;
    // The observer hears of a failure.
    this.checkpoint().catch(() => undefined);
  }

  /** Writes one now, or waits for the one that is being written. */
  checkpoint(): Promise<void> {
    this.#running ??= this.#checkpoint().finally(() => (this.#running = undefined));
    return this.#running;
  }

  /** Ends what is being written, without a result. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#running?.catch(() => undefined);
  }

  async #checkpoint(): Promise<void> {
    try {
      const facts = await this.#write();
      this.#lastBytes = facts.bytes;
      this.#dueAtBytes = this.#worthBytes;
      this.#options.onCheckpoint(facts);
    } catch (cause) {
      this.#dueAtBytes = this.#options.log.bytes + this.#worthBytes;
      if (!this.#isClosing) this.#options.onFailure(cause);
      throw cause;
    }
  }

  /** How much log is worth another checkpoint. */
  get #worthBytes(): number {
    return Math.max(this.#options.checkpointBytes, this.#lastBytes);
  }

  async #write(): Promise<CheckpointFacts> {
    const { database, disk, log } = this.#options;
    const { world, map } = database;
    this.#requireOpen();
    const startedMs = world.monotonicMs();
    let boundary: Boundary | undefined;
    let pinned: ReturnType<Database['pinState']> | undefined;
    await log.atBoundary((reached) => {
      boundary = reached;
      pinned = database.pinState();
    });
    assert(boundary !== undefined && pinned !== undefined, 'a boundary was reached');
    const { segment: number, position } = boundary;
    const slices = new Slices(world, () => this.#requireOpen());
    try {
      const header = { number, salt: world.randomBytes(saltBytes), position };
      const entries = stateEntries(map, pinned.snapshot.sequence, pinned.facts);
      const file = { kind: 'checkpoint', name: checkpointName(number), header } as const;
      const bytes = await writeStateFile(disk, file, entries, () => slices.between());
      await log.adoptCheckpoint(number);
      return { bytes, durationMs: world.monotonicMs() - startedMs, sliceMsMax: slices.longestMs };
    } finally {
      database.unpin(pinned.snapshot);
    }
  }

  /** @throws StoreClosedError, PoisonedError */
  #requireOpen(): void {
    if (this.#isClosing) throw new StoreClosedError();
    this.#options.database.requireHealth();
  }
}

export interface CheckpointerOptions {
  readonly database: Database;
  readonly disk: Disk;
  readonly log: Log;
  /** The log may be as long as this, or as the last checkpoint if that is longer, before another one is written. */
  readonly checkpointBytes: number;
  onCheckpoint(facts: CheckpointFacts): void;
  onFailure(cause: unknown): void;
}

export interface CheckpointFacts {
  readonly bytes: number;
  readonly durationMs: number;
  /** The longest that it kept the thread at a time. */
  readonly sliceMsMax: number;
}
