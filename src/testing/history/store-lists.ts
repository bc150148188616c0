import { SemelError } from '../../kv/errors.ts';
import type { Isolation, Store, Transaction } from '../../kv/store.ts';
import type { ListDatabase } from './random-workload.ts';
import type { ListElement } from './transaction-history.ts';

/** A Store as the random workload uses it: lists are values, and an append reads one and writes it back. */
export function storeLists(store: Store, isolation: Isolation = 'serializable'): ListDatabase {
  return {
    transact: (_session, body) =>
      store.transact(
        (tx) =>
          body({
            read: (key) => listAt(tx, key),
            async append(key, element) {
              const read = (await listAt(tx, key)) ?? [];
              tx.set(['list', key], [...read, element]);
              return read;
            },
            async range(keys) {
              const found = new Map<string, readonly ListElement[]>();
              for await (const { key, value } of tx.scan({ prefix: ['list'] })) {
                if (keys.includes(String(key[1]))) found.set(String(key[1]), value as readonly ListElement[]);
              }
              return found;
            },
          }),
        { isolation },
      ),
    didNotHappen: (error) => error instanceof SemelError && error.effect === 'did-not-happen',
  };
}

async function listAt(tx: Transaction, key: string): Promise<readonly ListElement[] | undefined> {
  return (await tx.get(['list', key])) as readonly ListElement[] | undefined;
}
