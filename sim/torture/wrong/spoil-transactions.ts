import type { Store, Transaction } from 'semel';

/** A store whose read-write transactions are these instead. */
export function spoilTransactions(store: Store, spoil: (tx: Transaction) => Transaction): Store {
  return {
    isRemote: store.isRemote,
    transact: (body, options) => store.transact((tx) => body(spoil(tx)), options),
    read: (body, options) => store.read(body, options),
    close: () => store.close(),
  };
}
