import type { Key, ReadTransaction, Store, Value } from 'semel';
import { runChild } from '../child.ts';
import { operationOfRecordKey } from '../passing-transaction.ts';

/** Wrong on purpose: a replay has a space more at its end than the answer had. Replays are read outside of the claim. */
function sloppyReads(store: Store): Store {
  return {
    isRemote: store.isRemote,
    transact: (body, options) => store.transact(body, options),
    read: (body, options) => store.read((tx) => body(sloppy(tx)), options),
    close: (options) => store.close(options),
  };
}

function sloppy(tx: ReadTransaction): ReadTransaction {
  return {
    now: tx.now,
    async get(key: Key) {
      const value = await tx.get(key);
      return operationOfRecordKey(key) === undefined || value === undefined ? value : withSpace(value);
    },
    getMany: (keys) => tx.getMany(keys),
    getEntry: (key) => tx.getEntry(key),
    scan: (range, options) => tx.scan(range, options),
  };
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

runChild({ spoilStore: sloppyReads });
