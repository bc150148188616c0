import pg from 'pg';
import {
  DatabaseRefusedError,
  migrate,
  openStore,
  SchemaMissingError,
  SchemaOutdatedError,
  type PostgresEvent,
  type PostgresOptions,
  type PostgresStore,
} from 'semel/postgres';
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
  const place = { url, schema, world };
  const store = await openMigrated({ ...place, onEvent });
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

/** Where nothing is to be done it needs no right to do it: then the first look is all. */
async function openMigrated(
  options: PostgresOptions & { readonly url: string; readonly schema: string },
): Promise<PostgresStore> {
  try {
    return await openStore(options);
  } catch (error) {
    if (!(error instanceof SchemaMissingError || error instanceof SchemaOutdatedError)) throw error;
  }
  const client = new pg.Client({ connectionString: options.url });
  // What breaks it fails the migration, too.
  client.on('error', () => undefined);
  await client.connect();
  try {
    await migrate(client, { schema: options.schema });
  } finally {
    await client.end();
  }
  return openStore(options);
}
