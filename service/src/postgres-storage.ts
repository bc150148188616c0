import pg from 'pg';
import { DatabaseRefusedError, openStore, type PostgresEvent, type PostgresOptions } from 'semel/postgres';
import type { DataPlace } from './data-place.ts';
import { problemOfFault } from './fault-problem.ts';
import { problem } from './problem.ts';
import { serviceLimits } from './service-limits.ts';
import type { Storage, StorageContext } from './storage.ts';

type PostgresPlace = Extract<DataPlace, { engine: 'postgres' }>;

/**
 * A database that any number of these processes share. What is refused because the database is away is refused for that time alone:
 * each request looks for a connection of its own.
 */
export async function openPostgresStorage(
  { world, metrics }: StorageContext,
  { url, schema }: PostgresPlace,
): Promise<Storage> {
  const onEvent = ({ fault }: PostgresEvent): void => metrics.countRetry(fault);
  const place: PostgresOptions = { url, schema, world };
  await migrateSchema({ url, schema });
  const store = await openStore({ ...place, onEvent });
  // In a pool of their own, or pages that nobody asks for again would leave no connection for writes.
  const snapshots = await openStore({
    ...place,
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
        return problem('database-unavailable', 'whatever needs it is refused until it answers');
      }
    },
    async close() {
      await Promise.all([store.close(), snapshots.close()]);
    },
  };
}

const graceMs = 10_000;

/** Where nothing is to be done, no right is needed but to read. */
async function migrateSchema({ url, schema }: Pick<PostgresPlace, 'url' | 'schema'>): Promise<void> {
  const store = await openStore({ url, schema, connectionsMax: 1 });
  try {
    // Looks by the store, whose errors say what to do.
    await store.read((tx) => tx.get(['readiness']));
  } catch (error) {
    if (!(error instanceof DatabaseRefusedError && ['42P01', '3F000'].includes(error.sqlState))) throw error;
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      await client.query(`SELECT pg_advisory_lock(1); CREATE SCHEMA IF NOT EXISTS ${schema};
        CREATE TABLE IF NOT EXISTS ${schema}.kv (key bytea PRIMARY KEY, value bytea NOT NULL, version uuid NOT NULL);
        CREATE TABLE IF NOT EXISTS ${schema}.lock_gate ()`);
    } finally {
      await client.end();
    }
  } finally {
    await store.close();
  }
}
