import type {
  AddOutcome,
  Bounds,
  Entry,
  Key,
  LockOptions,
  Range,
  ScanOptions,
  Transaction,
  Value,
  Version,
} from 'semel';

/** A transaction that passes everything on. What extends it changes one thing, in nested scopes as well. */
export abstract class PassingTransaction implements Transaction {
  protected readonly inner: Transaction;

  constructor(inner: Transaction) {
    this.inner = inner;
  }

  /** The same around a nested scope. */
  protected abstract around(scope: Transaction): this;

  get now(): number {
    return this.inner.now;
  }

  get version(): Version {
    return this.inner.version;
  }

  get(key: Key): Promise<Value | undefined> {
    return this.inner.get(key);
  }

  getMany(keys: readonly Key[]): Promise<readonly (Value | undefined)[]> {
    return this.inner.getMany(keys);
  }

  getEntry(key: Key): Promise<Entry | undefined> {
    return this.inner.getEntry(key);
  }

  scan(range: Range, options?: ScanOptions): AsyncIterable<Entry> {
    return this.inner.scan(range, options);
  }

  set(key: Key, value: Value): void {
    this.inner.set(key, value);
  }

  delete(key: Key): void {
    this.inner.delete(key);
  }

  add(key: Key, amount: number | bigint, bounds?: Bounds): Promise<AddOutcome> {
    return this.inner.add(key, amount, bounds);
  }

  lock(target: Key | Range, options?: LockOptions): Promise<void> {
    return this.inner.lock(target, options);
  }

  lockIfAbsent(key: Key, options?: Omit<LockOptions, 'mode'>): Promise<boolean> {
    return this.inner.lockIfAbsent(key, options);
  }

  prepare(): Promise<void> {
    return this.inner.prepare();
  }

  nest<T>(body: (tx: this) => T | Promise<T>): Promise<T> {
    return this.inner.nest((scope) => body(this.around(scope)));
  }
}

/** The key of the operation whose record this is; see docs/keyspace.md. */
export function operationOfRecordKey(key: Key): string | undefined {
  const [layer, kind, , name] = key;
  return layer === 'idempotency' && kind === 'record' && typeof name === 'string' ? name : undefined;
}
