import type { Key, Store, Transaction, Value } from 'semel';
import { runChild } from '../child.ts';
import { operationOfRecordKey, PassingTransaction } from '../passing-transaction.ts';

/** Wrong on purpose, and the usual mistake: the effect commits in one transaction, and the record of it in the next. */
class HalfTransaction extends PassingTransaction {
  readonly #records: [Key, Value][];

  constructor(tx: Transaction, records: [Key, Value][]) {
    super(tx);
    this.#records = records;
  }

  override set(key: Key, value: Value): void {
    if (operationOfRecordKey(key) === undefined) super.set(key, value);
    else this.#records.push([key, value]);
  }

  protected override around(scope: Transaction): this {
    return new HalfTransaction(scope, this.#records) as this;
  }
}

runChild({ spoilStore: recordLater });

function recordLater(store: Store): Store {
  return {
    isRemote: store.isRemote,
    async transact(body, options) {
      const records: [Key, Value][] = [];
      const result = await store.transact((tx) => {
        records.length = 0;
        return body(new HalfTransaction(tx, records));
      }, options);
      if (records.length > 0) {
        await store.transact((tx) => {
          for (const [key, value] of records) tx.set(key, value);
        });
      }
      return result;
    },
    read: (body, options) => store.read(body, options),
    close: () => store.close(),
  };
}
