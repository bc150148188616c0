import type { Key, Range } from './key.ts';
import type { Value } from './value.ts';

/**
 * The promise: an ordered map of keys to values with serializable transactions. Everything else in Semel is written
 * against these three types and nothing else.
 *
 * The map is [strictly serializable](https://jepsen.io/consistency/models/strong-serializable) by default. Informally:
 * committed transactions took place one at a time, in an order that respects real time.
 */
export interface ReadTransaction {
  /**
   * The store's own clock, in milliseconds since the Unix epoch, fixed once with the snapshot: never earlier than the
   * `now` of any transaction that is visible here (at `read-committed`: that was visible at the first read). Asking for
   * it takes the snapshot.
   */
  readonly now: number;
  get(key: Key): Promise<Value | undefined>;
  getMany(keys: readonly Key[]): Promise<readonly (Value | undefined)[]>;
  /** The value together with its version. */
  getEntry(key: Key): Promise<Entry | undefined>;
  /** The entries of a range in key order, or against it. It registers as read no more than what it yielded. */
  scan(range: Range, options?: ScanOptions): AsyncIterable<Entry>;
}

/** Writes are buffered until the commit; this transaction's own reads see them. It dies with its attempt. */
export interface Transaction extends ReadTransaction {
  /** The version of whatever this attempt writes, should it commit. No other attempt has it, ever. */
  readonly version: Version;
  set(key: Key, value: Value): void;
  delete(key: Key): void;
  /**
   * A commutative, bounded addition. An absent key counts as 0. Answers at once, against the snapshot and this
   * transaction's own writes. `ok` registers only the bounds, which are checked again at commit against the newest
   * value; so additions to one key never conflict with each other. A refusal registers a read.
   */
  add(key: Key, amount: number | bigint, bounds?: Bounds): Promise<AddOutcome>;
  /** Holds a key or a range until the attempt ends. Taken before the first read, it precedes the snapshot. */
  lock(target: Key | Range, options?: LockOptions): Promise<void>;
  /**
   * Locks a key exclusively if it holds nothing, and answers whether it did; where the store is in another process, in one
   * round trip with what the next `get` of the key answers. What is committed counts, not what this transaction sees. For who
   * wants to be the only one to write what is missing, and has no need to wait for what is there.
   */
  lockIfAbsent(key: Key, options?: Omit<LockOptions, 'mode'>): Promise<boolean>;
  /**
   * Locks what it has written, and so waits for whatever the commit would have to wait for; the commit then follows at
   * once. For who must know, before the commit, when it will have been.
   */
  prepare(): Promise<void>;
  /**
   * Runs `body` in a scope of its own: its writes join this transaction when it returns and are discarded when it
   * throws; what it read stays read, what it locked stays locked. This transaction rests meanwhile.
   */
  nest<T>(body: (tx: this) => T | Promise<T>): Promise<T>;
}

export interface Store<Tx extends Transaction = Transaction> {
  /** Whether each read is a round trip to another process: who is about to write then spares reading in vain. */
  readonly isRemote: boolean;
  /**
   * Runs `body` in a transaction and commits it. `body` may run more than once: a conflict or a deadlock re-runs it.
   * Whatever leaves here, a value or an error, rests on durable data only, unless `durability` is `visible`.
   */
  transact<T>(body: (tx: Tx) => T | Promise<T>, options?: TransactOptions): Promise<T>;
  /**
   * Runs `body` on a snapshot of the newest durable version, or with `visible` of the newest of all. It never waits for
   * the disk and never conflicts.
   */
  read<T>(body: (tx: ReadTransaction) => T | Promise<T>, options?: ReadOptions): Promise<T>;
  /**
   * Refuses what is new, waits for what runs, up to `timeoutMs` (default `limits.closeTimeoutMs`), and fences what still
   * runs then: it did not happen. What was committed is durable when it resolves.
   */
  close(options?: CallOptions): Promise<void>;
}

/** Opaque. Two versions of one key are never equal: not after a deletion, a restart or a checkpoint. */
export type Version = string;

export interface Entry {
  readonly key: Key;
  readonly value: Value;
  /** `undefined` for what this very transaction wrote and has not committed. */
  readonly version: Version | undefined;
}

export interface ScanOptions {
  readonly limit?: number;
  readonly reverse?: boolean;
}

/** Both inclusive. */
export interface Bounds {
  readonly min?: number | bigint;
  readonly max?: number | bigint;
}

/** Why an addition was refused: the sum would pass a bound or what its type can hold, or the key holds no such number. */
export type AddOutcome =
  | { readonly outcome: 'ok' }
  | { readonly outcome: 'refused'; readonly reason: 'below-min' | 'above-max' | 'overflow' | 'not-addable' };

export interface LockOptions {
  /** Default `exclusive`. */
  readonly mode?: 'shared' | 'exclusive';
  /** Default `limits.lockTimeoutMs`; 0 refuses at once. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** What each level lets through is in docs/concurrency.md, and tested in testing/store-contract.ts. */
export type Isolation = 'serializable' | 'snapshot' | 'read-committed';

export interface TransactOptions extends ReadOptions {
  /** Default `serializable`. */
  readonly isolation?: Isolation;
  /** Default `limits.attemptsMax`. */
  readonly attemptsMax?: number;
  /** How the transaction is called in a deadlock's cycle. */
  readonly label?: string;
}

/**
 * What an answer rests on. `durable`: on what is on the disk. `visible`: on what is in memory, so that it comes without
 * waiting for the disk, and a crash may make it unhappen, together with everything that was committed after it.
 */
export type Durability = 'durable' | 'visible';

export interface ReadOptions extends CallOptions {
  /** Default: the store's own, which is `durable` unless it was opened otherwise. */
  readonly durability?: Durability;
}

export interface CallOptions {
  /** Bounds the whole: attempts, waits and the sync. Past it the transaction is fenced. Default: no bound. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}
