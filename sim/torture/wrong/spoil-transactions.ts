import type { Transaction } from 'semel';
import type { EmbeddedStore } from 'semel/embedded';

/** A store whose read-write transactions are these instead. */
export function spoilTransactions(store: EmbeddedStore, spoil: (tx: Transaction) => Transaction): EmbeddedStore {
  return {
    isRemote: store.isRemote,
    transact: (body, options) => store.transact((tx) => body(spoil(tx)), options),
    read: (body, options) => store.read(body, options),
    status: () => store.status(),
    checkpoint: () => store.checkpoint(),
    backup: (to, options) => store.backup(to, options),
    close: () => store.close(),
  };
}
