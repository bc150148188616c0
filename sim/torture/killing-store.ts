import type { AddOutcome, Bounds, Entry, Key, LockOptions, Range, ScanOptions, Transaction, Value } from 'semel';
import type { EmbeddedStore } from 'semel/embedded';
import type { KillSwitch } from './kill-switch.ts';

/** A store that does what the one behind it does, and passes the points of the switch within the transactions of operations. */
export function killingStore(store: EmbeddedStore, killSwitch: KillSwitch): EmbeddedStore {
  return {
    transact: (body, options) => store.transact((tx) => body(new KillingTransaction(tx, killSwitch)), options),
    read: (body, options) => store.read(body, options),
    status: () => store.status(),
    close: () => store.close(),
  };
}

class KillingTransaction implements Transaction {
  readonly #tx: Transaction;
  readonly #switch: KillSwitch;
  /** The key of the operation whose claim this transaction won. */
  #operation: string | undefined;
  #hasWritten = false;

  constructor(tx: Transaction, killSwitch: KillSwitch, operation?: string) {
    this.#tx = tx;
    this.#switch = killSwitch;
    this.#operation = operation;
  }

  get now(): number {
    return this.#tx.now;
  }

  get version(): string {
    return this.#tx.version;
  }

  async get(key: Key): Promise<Value | undefined> {
    const value = await this.#tx.get(key);
    const operation = operationOfRecordKey(key);
    if (operation !== undefined && value === undefined) {
      this.#operation = operation;
      this.#switch.pass('after-claim', { operation });
    }
    return value;
  }

  getMany(keys: readonly Key[]): Promise<readonly (Value | undefined)[]> {
    return this.#tx.getMany(keys);
  }

  getEntry(key: Key): Promise<Entry | undefined> {
    return this.#tx.getEntry(key);
  }

  scan(range: Range, options?: ScanOptions): AsyncIterable<Entry> {
    return this.#tx.scan(range, options);
  }

  set(key: Key, value: Value): void {
    this.#hasWritten = true;
    this.#tx.set(key, value);
  }

  delete(key: Key): void {
    this.#hasWritten = true;
    this.#tx.delete(key);
  }

  add(key: Key, amount: number | bigint, bounds?: Bounds): Promise<AddOutcome> {
    this.#hasWritten = true;
    return this.#tx.add(key, amount, bounds);
  }

  lock(target: Key | Range, options?: LockOptions): Promise<void> {
    return this.#tx.lock(target, options);
  }

  nest<T>(body: (tx: this) => T | Promise<T>): Promise<T> {
    return this.#tx.nest(async (inner) => {
      const scope = new KillingTransaction(inner, this.#switch, this.#operation);
      try {
        return await body(scope as this);
      } finally {
        // Whether the writes are to be kept or to be discarded: they are buffered.
        const operation = this.#operation;
        if (scope.#hasWritten && operation !== undefined) this.#switch.pass('after-mutation', { operation });
      }
    });
  }
}

/** The last part of the key of an operation's record; see docs/keyspace.md. */
function operationOfRecordKey(key: Key): string | undefined {
  const [layer, kind, , name] = key;
  return layer === 'idempotency' && kind === 'record' && typeof name === 'string' ? name : undefined;
}
