import { BufferedTransaction, type BufferingContext } from '../../kv/buffered-transaction.ts';
import { LimitExceededError } from '../../kv/errors.ts';
import type { Key, Range } from '../../kv/key.ts';
import { limits } from '../../kv/limits.ts';
import type { AddOutcome, Bounds, Entry, LockOptions, ScanOptions, Transaction, Version } from '../../kv/store.ts';
import { requireOneOf } from '../../kv/transact.ts';
import { encodeKey, type EncodedKey, type EncodedRange, encodeRange } from '../../kv/tuple.ts';
import { readValue, storeValue, type StoredValue, type Value } from '../../kv/value.ts';
import { type Database, formatVersion } from './database.ts';
import type { LockOwner } from '../../kv/locks/lock-claim.ts';
import { keyTarget, lockTarget } from '../../kv/locks/lock-target.ts';
import { checkedScan, ownEntry } from '../../kv/reading.ts';
import { entriesIn, entryOf, valueOf } from './reading.ts';
import type { KeptVersion } from './versioned-map.ts';
import { checkedAddition, sumOf, type Write, WriteBuffer } from '../../kv/write-buffer.ts';

/** What a body holds: a view of its attempt with a buffer of writes. */
export class EmbeddedTransaction extends BufferedTransaction implements Transaction {
  readonly #attempt: TransactionContext;
  readonly #buffer: WriteBuffer;

  constructor(attempt: TransactionContext, buffer = new WriteBuffer()) {
    super(attempt, buffer);
    this.#attempt = attempt;
    this.#buffer = buffer;
  }

  // The engine hands out no other kind of transaction than this one.
  protected override within(buffer: WriteBuffer): this {
    return new EmbeddedTransaction(this.#attempt, buffer) as this;
  }

  get now(): number {
    this.requireOpen();
    return this.#attempt.now;
  }

  get version(): Version {
    this.requireOpen();
    return formatVersion(this.#attempt.version);
  }

  async get(key: Key): Promise<Value | undefined> {
    this.requireOpen();
    return this.#read(encodeKey(key));
  }

  async getMany(keys: readonly Key[]): Promise<readonly (Value | undefined)[]> {
    this.requireOpen();
    return keys.map(encodeKey).map((key) => this.#read(key));
  }

  async getEntry(key: Key): Promise<Entry | undefined> {
    this.requireOpen();
    const encoded = encodeKey(key);
    const write = this.#buffer.get(encoded);
    if (write === undefined) return entryOf(encoded, this.#attempt.read(encoded));
    const stored = this.#own(write);
    return stored === undefined ? undefined : ownEntry(encoded, stored);
  }

  async *scan(range: Range, options: ScanOptions = {}): AsyncGenerator<Entry> {
    this.requireOpen();
    const { limit, reverse } = checkedScan(options);
    const whole = encodeRange(range);
    const view = this.#attempt.pinView();
    try {
      const read = this.#registerScan(whole, reverse);
      let count = 0;
      for (const [key, entry] of this.#merged(whole, reverse, view.sequence)) {
        if (reverse) read.start = key;
        else read.end = `${key}\0`;
        if (entry === undefined) continue;
        yield entry;
        this.requireOpen();
        view.requireFresh();
        if (++count === limit) return;
      }
      read.start = whole.start;
      read.end = whole.end;
    } finally {
      view.release();
    }
  }

  async add(key: Key, amount: number | bigint, bounds: Bounds = {}): Promise<AddOutcome> {
    this.requireOpen();
    const encoded = encodeKey(key);
    const addition = checkedAddition(amount, bounds);
    const write = this.#buffer.get(encoded);
    if (write !== undefined && write.kind !== 'added') {
      const sum = sumOf(write.kind === 'set' ? write.stored.value : undefined, [addition]);
      if (sum.outcome === 'refused') return sum;
      this.#buffer.put({ kind: 'set', key: encoded, stored: storeValue(sum.sum) });
      return { outcome: 'ok' };
    }
    const additions = [...(write?.additions ?? []), addition];
    if (additions.length > limits.additionsMax) {
      throw new LimitExceededError('additionsMax', limits.additionsMax, additions.length);
    }
    const sum = sumOf(this.#attempt.peek(encoded)?.value, additions);
    if (sum.outcome === 'refused') {
      this.#attempt.read(encoded);
      return sum;
    }
    this.#buffer.put({ kind: 'added', key: encoded, additions });
    return { outcome: 'ok' };
  }

  async lock(target: Key | Range, options: LockOptions = {}): Promise<void> {
    this.requireOpen();
    if (options.mode !== undefined) requireOneOf('mode', options.mode, ['shared', 'exclusive']);
    const { database, owner } = this.#attempt;
    await database.locks.acquire(owner, [lockTarget(target)], options);
  }

  async lockIfAbsent(key: Key, options: Omit<LockOptions, 'mode'> = {}): Promise<boolean> {
    this.requireOpen();
    const { database, owner } = this.#attempt;
    const encoded = encodeKey(key);
    // Not by a read, which would take the snapshot before the wait.
    if (database.map.newest(encoded)?.value !== undefined) return false;
    await database.locks.acquire(owner, [keyTarget(encoded)], options);
    return true;
  }

  async prepare(): Promise<void> {
    this.requireOpen();
    await this.#attempt.prepare(this.#buffer);
  }

  #read(key: EncodedKey): Value | undefined {
    const write = this.#buffer.get(key);
    if (write === undefined) return valueOf(this.#attempt.read(key));
    const stored = this.#own(write);
    return stored === undefined ? undefined : readValue(stored);
  }

  /** What this transaction has made of a key. Only additions rest on what was there before, so only they read it. */
  #own(write: Write): StoredValue | undefined {
    if (write.kind !== 'added') return write.stored;
    const sum = sumOf(this.#attempt.read(write.key)?.value, write.additions);
    // At `read-committed` the value may have moved out of the bounds since.
    if (sum.outcome === 'refused') throw this.#attempt.fail(write.key);
    return storeValue(sum.sum);
  }

  /** Nothing of the range is read yet. */
  #registerScan(whole: EncodedRange, reverse: boolean): ReadRange {
    const end = whole.end ?? afterEveryKey;
    const read = reverse ? { start: end, end: whole.end } : { start: whole.start, end: whole.start };
    this.#attempt.registerScan(read);
    return read;
  }

  /**
   * The committed entries of a range with this transaction's own writes over them, those that it had made when the scan
   * began; `undefined` where a key is absent.
   */
  *#merged(
    range: EncodedRange,
    reverse: boolean,
    sequence: number,
  ): Generator<readonly [EncodedKey, Entry | undefined]> {
    const writes = this.#buffer.writesIn(range, reverse);
    let next = 0;
    for (const [key, entry] of entriesIn(this.#attempt.database.map, range, sequence, reverse)) {
      for (let write = writes[next]; write !== undefined; write = writes[++next]) {
        if (reverse ? write.key <= key : write.key >= key) break;
        yield this.#ownEntry(write);
      }
      const own = writes[next];
      if (own?.key === key) {
        next++;
        yield this.#ownEntry(own);
      } else {
        yield [key, entry];
      }
    }
    for (const write of writes.slice(next)) yield this.#ownEntry(write);
  }

  #ownEntry(write: Write): readonly [EncodedKey, Entry | undefined] {
    const stored = this.#own(write);
    return [write.key, stored === undefined ? undefined : ownEntry(write.key, stored)];
  }
}

/** What a transaction needs of its attempt. */
export interface TransactionContext extends BufferingContext {
  readonly database: Database;
  readonly owner: LockOwner;
  readonly now: number;
  readonly version: number;
  /** Where a scan looks: at a sequence, one throughout. Held until released or the attempt ends. */
  pinView(): PinnedView;
  /** What is committed of a key, and can change without a conflict. */
  peek(key: EncodedKey): KeptVersion | undefined;
  /** What is committed of a key, registered as read. */
  read(key: EncodedKey): KeptVersion | undefined;
  /** The caller moves the range's ends as it reads on. */
  registerScan(range: ReadRange): void;
  /** Locks what a commit of these writes would have to wait for. */
  prepare(buffer: WriteBuffer): Promise<void>;
  /** The attempt cannot commit any more, since this key changed; another attempt can. */
  fail(key: EncodedKey): Error;
}

export interface PinnedView {
  readonly sequence: number;
  /** @throws SnapshotTooOldError */
  requireFresh(): void;
  release(): void;
}

/** A range read so far. */
export interface ReadRange extends EncodedRange {
  start: EncodedKey;
  end: EncodedKey | undefined;
}

/** No encoded key begins with 0xFF. */
const afterEveryKey = '\xff';
