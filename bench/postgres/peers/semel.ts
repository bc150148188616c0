import assert from 'node:assert/strict';
import { createOperations, type Identity, type Operations } from 'semel/operations';
import { openStore, type PostgresStore, type PostgresTransaction } from 'semel/postgres';
import type { Isolation } from 'semel';
import { realEnvironment } from '../../../src/client/environment.ts';
import { uuidV7Source } from '../../../src/client/uuid-v7.ts';
import { clientsMax, type Depositor, depositStatement } from '../deposits.ts';
import {
  identityOf,
  type Loaded,
  loadedRecords,
  loadRecords,
  type LoadOptions,
  RecordTable,
  sinceLoaded,
} from '../records.ts';

export interface SemelOptions {
  readonly isolation: Isolation;
  readonly records?: number;
  /** Takes the records away again after each turn, so that there are always as many in it. */
  readonly forgets?: boolean;
}

export function semel({ isolation, records = loadedRecords, forgets = false }: SemelOptions) {
  return async (url: string): Promise<Depositor> => {
    const { table, store, loaded, operations } = await openOperations(url, isolation, live(records));
    const nextKey = uuidV7Source(realEnvironment);
    const since = sinceLoaded(loaded);
    return {
      deposit: (account) => deposit(operations, nextKey(), account),
      async records() {
        const count = await table.count(since.records);
        assert.equal(await table.count(since.due), count, 'each record has its entry in the index of what expires');
        return count;
      },
      ...(forgets && {
        async forget() {
          await table.remove(since.records);
          await table.remove(since.due);
          await table.settle();
        },
      }),
      async close() {
        await store.close();
        await table.close();
      },
    };
  };
}

const hourMs = 3_600_000;

/** None of them expires while anything is measured. */
export function live(count: number): LoadOptions {
  return { count, agesMs: [48 * hourMs, hourMs] };
}

export interface OpenedOperations {
  readonly table: RecordTable;
  readonly store: PostgresStore;
  readonly loaded: Loaded;
  readonly operations: Operations<PostgresTransaction>;
}

export async function openOperations(url: string, isolation: Isolation, load: LoadOptions): Promise<OpenedOperations> {
  const table = await RecordTable.open(url);
  await table.createSchema();
  const store = await openStore({ url, connectionsMax: clientsMax });
  const loaded = await loadRecords(store, load);
  await table.settle();
  return { table, store, loaded, operations: createOperations(store, { isolation }) };
}

export async function deposit(
  operations: Operations<PostgresTransaction>,
  key: string,
  account: number,
): Promise<void> {
  const { outcome } = await operations.run(identityOf(key, account), async (tx) => {
    const { rows } = await tx.sql<{ balance: string }>(depositStatement, [account]);
    return { keep: 'all', result: { account, balance: rows[0]?.balance ?? '' } };
  });
  assert.equal(outcome, 'executed');
}

export async function replay(operations: Operations<PostgresTransaction>, identity: Identity): Promise<void> {
  const { outcome } = await operations.run(identity, () => {
    throw new Error('what was executed once is not executed again');
  });
  assert.equal(outcome, 'replayed');
}
