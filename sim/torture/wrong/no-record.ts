import type { Key, Transaction, Value } from 'semel';
import { runChild } from '../child.ts';
import { operationOfRecordKey, PassingTransaction } from '../passing-transaction.ts';
import { spoilTransactions } from './spoil-transactions.ts';

/** Wrong on purpose: the effect commits, and the record of it does not. */
class ForgetfulTransaction extends PassingTransaction {
  override set(key: Key, value: Value): void {
    if (operationOfRecordKey(key) === undefined) super.set(key, value);
  }

  protected override around(scope: Transaction): this {
    return new ForgetfulTransaction(scope) as this;
  }
}

runChild({ spoilStore: (store) => spoilTransactions(store, (tx) => new ForgetfulTransaction(tx)) });
