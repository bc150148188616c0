import { DatabaseRefusedError, openStore, type PostgresEvent } from 'semel/postgres';
import type { DataPlace } from './data-place.ts';
import { problemOfFault } from './fault-problem.ts';
import { problem } from './problem.ts';
import { serviceLimits } from './service-limits.ts';
import type { Storage, StorageContext } from './storage.ts';

/**
 * A database that any number of these processes share. What is refused because the database is away is refused for that time alone:
 * each request looks for a connection of its own.
 */
export async function openPostgresStorage(
  { world, metrics }: StorageContext,
  { url, schema }: Extract<DataPlace, { engine: 'postgres' }>,
): Promise<Storage> {
  const onEvent = ({ fault }: PostgresEvent): void => metrics.countRetry(fault);
  const store = await openStore({ url, schema, world, onEvent });
  // In a pool of their own, or pages that nobody asks for again would leave no connection for writes.
  const snapshots = await openStore({
    url,
    schema,
    world,
    connectionsMax: 2 * serviceLimits.postgresPagingSessionsMax,
    // It is ended by the service, which tells whoever comes back.
    idleInTransactionMs: serviceLimits.pagingIdleMsMax + graceMs,
  });
  return {
    store,
    snapshots: { store: snapshots, max: serviceLimits.postgresPagingSessionsMax },
    async unreadiness() {
      try {
        await store.read((tx) => tx.get(['readiness']), { timeoutMs: serviceLimits.readinessMsMax });
        return undefined;
      } catch (error) {
        if (error instanceof DatabaseRefusedError) return problemOfFault(error);
        return problem('database-unavailable', 'requests are refused meanwhile, and executed again once it answers');
      }
    },
    async close() {
      await Promise.all([store.close(), snapshots.close()]);
    },
  };
}

const graceMs = 10_000;
