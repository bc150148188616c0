import type { AddOutcome, Bounds, Key, Store, Transaction, Value } from 'semel';
import type { KillSwitch } from './kill-switch.ts';
import { operationOfRecordKey, PassingTransaction } from './passing-transaction.ts';

/** A store that does what the one behind it does, and passes the points of the switch within the transactions of operations. */
export function killingStore(store: Store, killSwitch: KillSwitch): Store {
  return {
    isRemote: store.isRemote,
    transact: (body, options) => store.transact((tx) => body(new KillingTransaction(tx, killSwitch)), options),
    read: (body, options) => store.read(body, options),
    close: () => store.close(),
  };
}

class KillingTransaction extends PassingTransaction {
  readonly #switch: KillSwitch;
  /** The key of the operation whose claim this transaction won. */
  #operation: string | undefined;
  #hasWritten = false;

  constructor(tx: Transaction, killSwitch: KillSwitch, operation?: string) {
    super(tx);
    this.#switch = killSwitch;
    this.#operation = operation;
  }

  override async get(key: Key): Promise<Value | undefined> {
    const value = await super.get(key);
    const operation = operationOfRecordKey(key);
    if (operation !== undefined && value === undefined) {
      this.#operation = operation;
      this.#switch.pass('after-claim', { operation });
    }
    return value;
  }

  override set(key: Key, value: Value): void {
    this.#hasWritten = true;
    super.set(key, value);
  }

  override delete(key: Key): void {
    this.#hasWritten = true;
    super.delete(key);
  }

  override add(key: Key, amount: number | bigint, bounds?: Bounds): Promise<AddOutcome> {
    this.#hasWritten = true;
    return super.add(key, amount, bounds);
  }

  override async prepare(): Promise<void> {
    await super.prepare();
    if (this.#operation !== undefined) this.#switch.pass('before-commit', { operation: this.#operation });
  }

  override nest<T>(body: (tx: this) => T | Promise<T>): Promise<T> {
    return super.nest(async (scope) => {
      try {
        return await body(scope);
      } finally {
        // Whether the writes are to be kept or to be discarded: they are buffered.
        const operation = this.#operation;
        if (scope.#hasWritten && operation !== undefined) this.#switch.pass('after-mutation', { operation });
      }
    });
  }

  protected override around(scope: Transaction): this {
    return new KillingTransaction(scope, this.#switch, this.#operation) as this;
  }
}
