import type { AddOutcome, Bounds, Key, Transaction } from 'semel';
import { runChild } from '../child.ts';
import { PassingTransaction } from '../passing-transaction.ts';
import { spoilTransactions } from './spoil-transactions.ts';

let additions = 0;

/** Wrong on purpose: one addition in twenty is made twice. */
class GenerousTransaction extends PassingTransaction {
  override async add(key: Key, amount: number | bigint, bounds?: Bounds): Promise<AddOutcome> {
    additions += 1;
    if (additions % 20 === 0) await super.add(key, amount, bounds);
    return super.add(key, amount, bounds);
  }

  protected override around(scope: Transaction): this {
    return new GenerousTransaction(scope) as this;
  }
}

runChild({ spoilStore: (store) => spoilTransactions(store, (tx) => new GenerousTransaction(tx)) });
