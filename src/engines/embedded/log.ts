import { assert } from '../../kv/assert.ts';
import { LimitExceededError, PoisonedError, StoreClosedError } from '../../kv/errors.ts';
import type { World } from '../../kv/world.ts';
import type { Disk } from './disk.ts';
import { type Group, GroupQueue } from './group-queue.ts';
import { type ChainPosition, entryBytesMax, RecordChain } from './log-format.ts';
import {
  type LogRecovery,
  type OpenSegment,
  type RecoveredLog,
  recoverLog,
  type SealedSegment,
} from './log-recovery.ts';
import {
  checkpointName,
  createSegment,
  type EmptySegment,
  SegmentNotMade,
  segmentName,
  temporaryName,
} from './log-segment.ts';

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
 * - *sealing*, from idle or after a sync, where the segment is long enough or a boundary was asked for, and the next segment
 *   has been made ahead: the mark is synced, so that the segment is whole before anything is written to the next one. Then the
 *   log goes on there. Appends only queue meanwhile: it costs them one sync.
 * - *poisoned*, from any state, for good, by the first write or sync that fails: the kernel may have dropped what it could not
 *   write, so a second try would prove nothing. All waiters that are left are rejected; what became durable stays so.
 * - *closed*: takes no entries. On the way the queue is flushed and the mark is synced; a poisoned log just closes.
 *
 * What the disk holds after a crash, and how opening judges it: log-scan.ts. The bytes: docs/log-format.md.
 */
export class Log {
  readonly recovery: LogRecovery;
  readonly #options: LogOptions;
  #segment: OpenSegment;
  /** The next segment, once it is made. */
  #ahead: EmptySegment | undefined;
  #makingAhead: Promise<void> | undefined;
  #makeAheadAtBytes: number;
  #sealed: readonly SealedSegment[];
  #checkpoint: number | undefined;
  readonly #boundariesAsked: BoundaryAsked[] = [];
  /** It does not reject. */
  #sealing: Promise<void> | undefined;
  readonly #queue = new GroupQueue();
  #syncing: Group | undefined;
  #due = false;
  /** How long it took lately until all that a sync had woken had run. */
  #wakingMs = 0;
  #marked: boolean;
  #durableSequence: number;
  #lastIndex = 0;
  #durableIndex = 0;
  #poison: PoisonedError | undefined;
  #closing: Promise<void> | undefined;

  private constructor(options: LogOptions, recovered: RecoveredLog, durationMs: number) {
    this.recovery = { ...recovered.facts, durationMs };
    this.#options = options;
    this.#segment = recovered.segment;
    this.#ahead = recovered.ahead;
    this.#makeAheadAtBytes = options.segmentBytes / 2;
    this.#sealed = recovered.sealed;
    this.#checkpoint = recovered.checkpoint;
    this.#marked = recovered.marked;
    this.#durableSequence = recovered.segment.chain.sequence;
  }

  /** Recovers what the directory holds, or begins a log in it. The caller has `disk.lock()`. Throws DamagedError. */
  static async open(options: LogOptions): Promise<Log> {
    const startedMs = options.world.monotonicMs();
    const recovered = await recoverLog(options.disk, options.world, (entry) => options.onEntry(entry));
    const log = new Log(options, recovered, options.world.monotonicMs() - startedMs);
    try {
      log.#mark();
    } catch (cause) {
      await log.#closeFiles();
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

  /** The size of the log since the newest checkpoint. */
  get bytes(): number {
    return this.#sealed.reduce((sum, { bytes }) => sum + bytes, this.#segment.file.size);
  }

  /** Whether so much waits to be written that nothing should be added without waiting, too. */
  get isFarBehind(): boolean {
    return this.#queue.bytes > queuedBytesMax;
  }

  get poison(): PoisonedError | undefined {
    return this.#poison;
  }

  /** Takes an entry and answers its index: 1, 2, 3 … The caller leaves the bytes alone from now on. */
  append(entry: Uint8Array): number {
    this.#requireGrowth();
    if (entry.length > entryBytesMax) throw new LimitExceededError('entryBytesMax', entryBytesMax, entry.length);
    this.#lastIndex += 1;
    this.#queue.push(entry, this.#lastIndex);
    if (this.#syncing === undefined && !this.#due && this.#sealing === undefined) this.#becomeDue();
    return this.#lastIndex;
  }

  /** @throws PoisonedError, StoreClosedError */
  #requireGrowth(): void {
    if (this.#poison !== undefined) throw this.#poison;
    if (this.#closing !== undefined) throw new StoreClosedError();
  }

  /** Resolves when the entries up to `index` are durable; rejects with PoisonedError if they never will be known to be. */
  whenDurable(index: number): Promise<void> {
    assert(index <= this.#lastIndex, 'only what was appended is waited for');
    if (index <= this.#durableIndex) return alreadyDurable;
    if (this.#poison !== undefined) return Promise.reject(this.#poison);
    const syncing = this.#syncing;
    const group = syncing !== undefined && index <= syncing.lastIndex ? syncing : this.#queue.groupOf(index);
    group.durable ??= Promise.withResolvers();
    return group.durable.promise;
  }

  /**
   * Goes on in a new segment as soon as it can. `onBoundary` is called in the turn in which it does: what was durable then
   * stands in earlier segments, and everything else will stand in this one. Rejects where that never comes to be, with
   * SegmentNotMade or PoisonedError.
   */
  async atBoundary(onBoundary: (boundary: Boundary) => void): Promise<void> {
    this.#requireGrowth();
    await this.#makeAhead();
    this.#requireGrowth();
    const reached = Promise.withResolvers<void>();
    this.#boundariesAsked.push({ onBoundary, reached });
    if (this.#syncing === undefined && !this.#due && this.#sealing === undefined) this.#sealIfDue();
    await reached.promise;
  }

  /**
   * Gives the finished checkpoint of this number its name, and when that is durable, removes what it makes superfluous. A
   * failed sync of the directory poisons, since the log's own segments depend on it.
   */
  async adoptCheckpoint(number: number): Promise<void> {
    const { disk } = this.#options;
    const name = checkpointName(number);
    await disk.rename(temporaryName(name), name);
    await this.#syncDirectory();
    const superfluous = this.#sealed.filter((segment) => segment.number < number).map((old) => segmentName(old.number));
    if (this.#checkpoint !== undefined) superfluous.push(checkpointName(this.#checkpoint));
    this.#sealed = this.#sealed.filter((segment) => segment.number >= number);
    this.#checkpoint = number;
    for (const file of superfluous) await disk.remove(file);
    await this.#syncDirectory();
  }

  /** Waits for what was appended and vouches for it by a mark. It resolves for a poisoned log, too. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    // Who waits for any of this learns of a failure, and so does `onPoison`; closing goes on.
    await this.#makingAhead?.catch(() => undefined);
    await this.whenDurable(this.#lastIndex).catch(() => undefined);
    await this.#sealing;
    if (this.#poison === undefined) {
      await this.#segment.file.sync().catch((cause: unknown) => void this.#fail('syncing the closing mark', cause));
    }
    await this.#closeFiles();
  }

  async #closeFiles(): Promise<void> {
    await this.#segment.file.close();
    await this.#ahead?.file.close();
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
    // The directory failed meanwhile.
    if (this.#poison !== undefined) return;
    this.#syncing = undefined;
    this.#durableSequence = this.#segment.chain.sequence;
    this.#durableIndex = group.lastIndex;
    this.#options.onDurable(group.lastIndex);
    group.durable?.resolve();
    this.#options.onSync?.({ entries: group.entries.length, bytes, syncMs });
    if (this.#sealIfDue()) return;
    if (!this.#queue.isEmpty) {
      const isWakingLong = wakingMargin * this.#wakingMs >= syncMs;
      this.#measureWaking();
      if (isWakingLong) {
        this.#flush();
        return;
      }
      this.#becomeDue();
    }
    this.#markOrFail();
  }

  /** Whether the log goes over to the next segment, so that nothing else is to be written now. */
  #sealIfDue(): boolean {
    const { size } = this.#segment.file;
    const ahead = this.#ahead;
    if (ahead === undefined && size >= this.#makeAheadAtBytes && this.#closing === undefined) {
      // Where there is no room for another segment, this one goes on, and somewhat later it is tried again.
      this.#makeAheadAtBytes = size + this.#options.segmentBytes / 2;
      this.#makeAhead().catch(() => undefined);
    }
    const isDue = this.#boundariesAsked.length > 0 || size >= this.#options.segmentBytes;
    if (!isDue || ahead === undefined) return false;
    if (!this.#markOrFail()) return true;
    this.#sealing = this.#segment.file.sync().then(
      () => this.#goOverTo(ahead),
      (cause: unknown) => void this.#fail('sealing', cause),
    );
    return true;
  }

  #goOverTo(ahead: EmptySegment): void {
    if (this.#poison !== undefined) return;
    const { number, file, chain } = this.#segment;
    this.#sealing = undefined;
    this.#ahead = undefined;
    this.#makeAheadAtBytes = this.#options.segmentBytes / 2;
    this.#sealed = [...this.#sealed, { number, bytes: file.size }];
    this.#segment = { number: ahead.number, file: ahead.file, chain: new RecordChain(ahead.salt, chain) };
    for (const { onBoundary, reached } of this.#boundariesAsked.splice(0)) {
      onBoundary({ segment: ahead.number, position: { sequence: chain.sequence, checksum: chain.checksum } });
      reached.resolve();
    }
    // What it holds is durable, however it closes.
    file.close().catch(() => undefined);
    if (!this.#queue.isEmpty) this.#flush();
  }

  async #makeAhead(): Promise<void> {
    if (this.#ahead !== undefined) return;
    this.#makingAhead ??= this.#makeSegment();
    await this.#makingAhead;
  }

  async #makeSegment(): Promise<void> {
    const { disk, world } = this.#options;
    try {
      this.#ahead = await createSegment(disk, world, this.#segment.number + 1);
    } catch (cause) {
      throw cause instanceof SegmentNotMade ? cause : this.#fail('making the next segment', cause);
    } finally {
      this.#makingAhead = undefined;
    }
  }

  async #syncDirectory(): Promise<void> {
    try {
      await this.#options.disk.sync();
    } catch (cause) {
      throw this.#fail('syncing the directory', cause);
    }
  }

  #measureWaking(): void {
    const { world } = this.#options;
    const startedMs = world.monotonicMs();
    world.defer(() => (this.#wakingMs = world.monotonicMs() - startedMs));
  }

  /** Whether that went well. */
  #markOrFail(): boolean {
    try {
      this.#mark();
      return true;
    } catch (cause) {
      this.#fail('appending a mark', cause);
      return false;
    }
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
    const failure = new Error(`${act} failed in ${segmentName(this.#segment.number)}: ${reason}; ${advice}`, { cause });
    const poison = new PoisonedError({ cause: failure });
    this.#poison = poison;
    this.#syncing?.durable?.reject(poison);
    this.#queue.reject(poison);
    for (const { reached } of this.#boundariesAsked.splice(0)) reached.reject(poison);
    this.#syncing = undefined;
    this.#options.onPoison?.(failure);
    return poison;
  }
}

/** What commits that wait for no disk may pile up in memory before one of them does wait. */
const queuedBytesMax = 67_108_864;

/** A sync that ends while the thread is busy seems as long as what it is busy with, which is another half of the callers. */
const wakingMargin = 1.5;

export interface LogOptions {
  readonly disk: Disk;
  readonly world: World;
  /** A segment that is longer is followed by another one. */
  readonly segmentBytes: number;
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

/** Where one segment ends and the next one begins. */
export interface Boundary {
  /** The number of the one that begins. */
  readonly segment: number;
  /** What it goes on from. */
  readonly position: ChainPosition;
}

interface BoundaryAsked {
  readonly onBoundary: (boundary: Boundary) => void;
  readonly reached: PromiseWithResolvers<void>;
}

const alreadyDurable = Promise.resolve();
