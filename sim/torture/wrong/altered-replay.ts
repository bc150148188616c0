import type { Key, Transaction, Value } from 'semel';
import { runChild } from '../child.ts';
import { operationOfRecordKey, PassingTransaction } from '../passing-transaction.ts';
import { spoilTransactions } from './spoil-transactions.ts';

/** Wrong on purpose: a replay has a space more at its end than the answer had. */
class SloppyTransaction extends PassingTransaction {
  override async get(key: Key): Promise<Value | undefined> {
    const value = await super.get(key);
    return operationOfRecordKey(key) === undefined || value === undefined ? value : withSpace(value);
  }

  protected override around(scope: Transaction): this {
    return new SloppyTransaction(scope) as this;
  }
}

/** A record with another body in the response that it holds. */
function withSpace(value: Value): Value {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || Array.isArray(value)) return value;
  const changed = Object.entries(value).map(([name, inner]): [string, Value] => {
    if (name === 'body' && inner instanceof Uint8Array) return [name, Buffer.concat([inner, Buffer.from(' ')])];
    return [name, withSpace(inner)];
  });
  return Object.fromEntries(changed);
}

runChild({ spoilStore: (store) => spoilTransactions(store, (tx) => new SloppyTransaction(tx)) });
