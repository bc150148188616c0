import { assert } from '../../kv/assert.ts';
import { LimitExceededError, PoisonedError, StoreClosedError } from '../../kv/errors.ts';
import type { World } from '../../kv/world.ts';
import type { Disk } from './disk.ts';
import { entryBytesInGroup, entryBytesMax, payloadBytesMax } from './log-format.ts';
import { recoverSegment } from './log-recovery.ts';
import type { LogRecovery } from './log-recovery.ts';
import { createSegment, NoSpaceForSegment } from './log-segment.ts';
import type { OpenSegment } from './log-segment.ts';

/**
 * The write-ahead log: entries, opaque bytes, become durable in the order in which they were appended. It commits in groups:
 * one sync is in flight at a time, and the next group is whatever arrived meanwhile. No timer, and nothing waits for the disk
 * but who asks to, by `whenDurable`.
 *
 * - *idle*: every entry is durable, and a mark that says so has been appended (not synced: the next group's sync covers it).
 *   An append makes it *due*.
 * - *due*: the flush waits for what is already runnable (`World.defer`), so that entries of the same turn share it. Then the
 *   first group is written, and it is *syncing*.
 * - *syncing*: appends only queue. When the sync is done, the group's entries are durable: `onDurable` is called, then in the
 *   same turn the next group is written, if one waits, or else the mark (*idle*). Waiters run only after that, so whatever was
 *   acknowledged is followed by a record that vouches for it, as far as a killed process is concerned. Where the turn of such
 *   waiters is known to be shorter than a sync, the group that waits becomes *due* behind the mark, and takes along what they
 *   append: else two halves of the same callers would wait for each other's syncs for ever, and each sync carry but one half.
 * - *poisoned*, from any state, for good, by the first write or sync that fails: the kernel may have dropped what it could not
 *   write, so a second try would prove nothing. All waiters that are left are rejected; what became durable stays so.
 * - *closed*: takes no entries. On the way the queue is flushed and the mark is synced; a poisoned log just closes.
 *
 * `rewrite` borrows the idle state of a log that has not been appended to yet.
 *
 * What the disk holds after a crash, and how opening judges it: log-scan.ts. The bytes: docs/log-format.md.
 */
export class Log {
  readonly recovery: LogRecovery;
  readonly #options: LogOptions;
  #segment: OpenSegment;
  readonly #queue: Group[] = [];
  #syncing: Group | undefined;
  #due = false;
  #rewriting = false;
  /** How long it took lately until all that a sync had woken had run. */
  #wakingMs = 0;
  #marked: boolean;
  #durableSequence: number;
  #lastIndex = 0;
  #durableIndex = 0;
  #poison: PoisonedError | undefined;
  #closing: Promise<void> | undefined;

  private constructor(options: LogOptions, segment: OpenSegment, recovery: LogRecovery, marked: boolean) {
    this.recovery = recovery;
    this.#options = options;
    this.#segment = segment;
    this.#marked = marked;
    this.#durableSequence = segment.chain.sequence;
  }

  /** Recovers what the directory holds, or begins a log in it. The caller has `disk.lock()`. Throws DamagedError. */
  static async open(options: LogOptions): Promise<Log> {
    const startedMs = options.world.monotonicMs();
    const { segment, marked, facts } = await recoverSegment(options.disk, options.world, (entry) =>
      options.onEntry(entry),
    );
    const log = new Log(options, segment, { ...facts, durationMs: options.world.monotonicMs() - startedMs }, marked);
    try {
      log.#mark();
    } catch (cause) {
      await segment.file.close();
      throw cause;
    }
    return log;
  }

  /** The index of the newest entry of this process; recovered ones are not counted. */
  get lastIndex(): number {
    return this.#lastIndex;
  }

  get durableIndex(): number {
    return this.#durableIndex;
  }

  get poison(): PoisonedError | undefined {
    return this.#poison;
  }

  /** Takes an entry and answers its index: 1, 2, 3 … The caller leaves the bytes alone from now on. */
  append(entry: Uint8Array): number {
    if (this.#poison !== undefined) throw this.#poison;
    if (this.#closing !== undefined) throw new StoreClosedError();
    assert(!this.#rewriting, 'nothing is appended while the log is rewritten');
    if (entry.length > entryBytesMax) throw new LimitExceededError('entryBytesMax', entryBytesMax, entry.length);
    this.#lastIndex += 1;
    const payloadBytes = entryBytesInGroup(entry);
    const last = this.#queue.at(-1);
    if (last !== undefined && last.payloadBytes + payloadBytes <= payloadBytesMax) {
      last.entries.push(entry);
      last.payloadBytes += payloadBytes;
      last.lastIndex = this.#lastIndex;
    } else {
      this.#queue.push({ entries: [entry], payloadBytes, lastIndex: this.#lastIndex, durable: undefined });
    }
    if (this.#syncing === undefined && !this.#due) this.#becomeDue();
    return this.#lastIndex;
  }

  /** Resolves when the entries up to `index` are durable; rejects with PoisonedError if they never will be known to be. */
  whenDurable(index: number): Promise<void> {
    assert(index <= this.#lastIndex, 'only what was appended is waited for');
    if (index <= this.#durableIndex) return alreadyDurable;
    if (this.#poison !== undefined) return Promise.reject(this.#poison);
    const syncing = this.#syncing;
    const group = syncing !== undefined && index <= syncing.lastIndex ? syncing : this.#queueGroupOf(index);
    group.durable ??= Promise.withResolvers();
    return group.durable.promise;
  }

  /**
   * Replaces the log by one that holds these entries: whichever moment a crash chooses, the old or the new one in full. Only
   * directly after `open`, before the first append. Where there is no room for a second one, the old one stays. Any other
   * failure poisons.
   */
  async rewrite(entries: Iterable<Uint8Array>): Promise<void> {
    if (this.#poison !== undefined) throw this.#poison;
    if (this.#closing !== undefined) throw new StoreClosedError();
    assert(this.#lastIndex === 0 && !this.#rewriting, 'a log is rewritten before its first append');
    this.#rewriting = true;
    const { disk, world } = this.#options;
    try {
      const old = this.#segment;
      this.#segment = await createSegment(disk, world, old.number + 1, entries);
      this.#durableSequence = this.#segment.chain.sequence;
      this.#marked = true;
      await old.file.close();
      await disk.remove(old.name);
      await disk.sync();
    } catch (cause) {
      if (cause instanceof NoSpaceForSegment) return;
      throw this.#fail('rewriting the log', cause);
    } finally {
      this.#rewriting = false;
    }
  }

  /** Waits for what was appended and vouches for it by a mark. It resolves for a poisoned log, too. */
  close(): Promise<void> {
    assert(!this.#rewriting, 'a log is not closed while it is rewritten');
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // Who waits for these entries learns of a failure, and so does `onPoison`; closing goes on.
    await this.whenDurable(this.#lastIndex).catch(() => undefined);
    if (this.#poison === undefined) {
      await this.#segment.file.sync().catch((cause: unknown) => void this.#fail('syncing the closing mark', cause));
    }
    await this.#segment.file.close();
  }

  #queueGroupOf(index: number): Group {
    const group = this.#queue.find((candidate) => index <= candidate.lastIndex);
    assert(group !== undefined, 'an entry that is not durable is in a group');
    return group;
  }

  #becomeDue(): void {
    this.#due = true;
    this.#options.world.defer(() => this.#flush());
  }

  #flush(): void {
    this.#due = false;
    const group = this.#queue.shift();
    if (group === undefined) return;
    this.#syncing = group;
    const { file, chain } = this.#segment;
    const bytes = chain.group(group.entries, this.#durableSequence);
    this.#marked = false;
    try {
      file.append(bytes);
    } catch (cause) {
      this.#fail(`appending ${bytes.length} bytes`, cause);
      return;
    }
    const startedMs = this.#options.world.monotonicMs();
    file.sync().then(
      () => this.#synced(group, bytes.length, this.#options.world.monotonicMs() - startedMs),
      (cause: unknown) => void this.#fail('syncing', cause),
    );
  }

  #synced(group: Group, bytes: number, syncMs: number): void {
    this.#syncing = undefined;
    this.#durableSequence = this.#segment.chain.sequence;
    this.#durableIndex = group.lastIndex;
    this.#options.onDurable(group.lastIndex);
    group.durable?.resolve();
    this.#options.onSync?.({ entries: group.entries.length, bytes, syncMs });
    if (this.#queue.length > 0) {
      const isWakingLong = wakingMargin * this.#wakingMs >= syncMs;
      this.#measureWaking();
      if (isWakingLong) {
        this.#flush();
        return;
      }
      this.#becomeDue();
    }
    try {
      this.#mark();
    } catch (cause) {
      this.#fail('appending a mark', cause);
    }
  }

  #measureWaking(): void {
    const { world } = this.#options;
    const startedMs = world.monotonicMs();
    world.defer(() => (this.#wakingMs = world.monotonicMs() - startedMs));
  }

  #mark(): void {
    const { file, chain } = this.#segment;
    if (this.#marked || chain.sequence === 0) return;
    assert(this.#durableSequence === chain.sequence, 'a mark vouches only for what is durable');
    file.append(chain.mark());
    this.#marked = true;
  }

  #fail(act: string, cause: unknown): PoisonedError {
    if (this.#poison !== undefined) return this.#poison;
    const reason = cause instanceof Error ? cause.message : String(cause);
    const advice = 'free space on the disk or repair it, then open the store again';
    const failure = new Error(`${act} failed in ${this.#segment.name}: ${reason}; ${advice}`, { cause });
    const poison = new PoisonedError({ cause: failure });
    this.#poison = poison;
    this.#syncing?.durable?.reject(poison);
    for (const group of this.#queue) group.durable?.reject(poison);
    this.#syncing = undefined;
    this.#queue.length = 0;
    this.#options.onPoison?.(failure);
    return poison;
  }
}

/** A sync that ends while the thread is busy seems as long as what it is busy with, which is another half of the callers. */
const wakingMargin = 1.5;

export interface LogOptions {
  readonly disk: Disk;
  readonly world: World;
  /** Each recovered entry, in order, before `open` resolves; all are durable by then. The bytes are a view: copy what stays. */
  onEntry(entry: Uint8Array): void;
  /** The entries up to `index` became durable. Called before their waiters run. */
  onDurable(index: number): void;
  onSync?(facts: SyncFacts): void;
  onPoison?(cause: unknown): void;
}

export interface SyncFacts {
  readonly entries: number;
  readonly bytes: number;
  readonly syncMs: number;
}

interface Group {
  readonly entries: Uint8Array[];
  payloadBytes: number;
  /** The index of its last entry. */
  lastIndex: number;
  /** One promise for all who wait; made when the first does. */
  durable: PromiseWithResolvers<void> | undefined;
}

const alreadyDurable = Promise.resolve();
