import { TransactionClosedError } from '../../kv/errors.ts';
import type { Key, Range } from '../../kv/key.ts';
import type { Durability, Entry, ReadTransaction, ScanOptions } from '../../kv/store.ts';
import { encodeKey, encodeRange } from '../../kv/tuple.ts';
import type { Value } from '../../kv/value.ts';
import type { Database } from './database.ts';
import { checkedScan } from '../../kv/reading.ts';
import { entriesIn, entryOf, valueOf } from './reading.ts';
import type { Snapshot } from './snapshots.ts';

/** A read-only transaction: the newest durable state, or the newest of all, as it was when it began. It conflicts with nothing. */
export class EmbeddedSnapshot implements ReadTransaction {
  readonly now: number;
  readonly #database: Database;
  readonly #snapshot: Snapshot;
  #closed = false;

  constructor(database: Database, durability: Durability = database.durability) {
    this.#database = database;
    this.#snapshot = durability === 'visible' ? database.pinVisible() : database.pin('reader');
    this.now = database.tick();
  }

  async get(key: Key): Promise<Value | undefined> {
    this.#requireOpen();
    return this.#read(key);
  }

  async getMany(keys: readonly Key[]): Promise<readonly (Value | undefined)[]> {
    this.#requireOpen();
    return keys.map((key) => this.#read(key));
  }

  async getEntry(key: Key): Promise<Entry | undefined> {
    this.#requireOpen();
    const encoded = encodeKey(key);
    return entryOf(encoded, this.#database.map.at(encoded, this.#snapshot.sequence));
  }

  async *scan(range: Range, options: ScanOptions = {}): AsyncGenerator<Entry> {
    this.#requireOpen();
    const { limit, reverse } = checkedScan(options);
    let count = 0;
    for (const [, entry] of entriesIn(this.#database.map, encodeRange(range), this.#snapshot.sequence, reverse)) {
      if (entry === undefined) continue;
      yield entry;
      this.#requireOpen();
      if (++count === limit) return;
    }
  }

  close(): void {
    this.#closed = true;
    this.#database.unpin(this.#snapshot);
  }

  #read(key: Key): Value | undefined {
    return valueOf(this.#database.map.at(encodeKey(key), this.#snapshot.sequence));
  }

  #requireOpen(): void {
    if (this.#closed) throw new TransactionClosedError('its body has returned');
    this.#snapshot.requireFresh();
  }
}
