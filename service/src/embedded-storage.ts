import type { FastifyBaseLogger } from 'fastify';
import { openStore, type Disk, type EmbeddedStore, type OpenOptions, type StoreEvent } from 'semel/embedded';
import { wayToRecover } from './disk-full.ts';
import { EmbeddedMetrics } from './embedded-metrics.ts';
import { faultForLog } from './fault-problem.ts';
import type { Metrics } from './metrics.ts';
import { problem } from './problem.ts';
import { serviceLimits } from './service-limits.ts';
import type { Storage, StorageContext } from './storage.ts';

export interface EmbeddedStorageOptions {
  /** `disk` instead of a directory: for simulation. */
  readonly on: { readonly directory: string } | { readonly disk: Disk };
  /** Instead of the engine's own, for simulation: it may stand between the service, the engine and the disk. */
  readonly open?: ((options: OpenOptions) => Promise<EmbeddedStore>) | undefined;
}

/**
 * A directory of this process alone. Its disk may poison the store: the service then goes on answering reads, and is of no use for
 * writes until it is started again.
 */
export async function openEmbeddedStorage(
  { world, metrics, log }: StorageContext,
  { on, open = openStore }: EmbeddedStorageOptions,
): Promise<Storage> {
  const embeddedMetrics = new EmbeddedMetrics(metrics.registry);
  let poison: { readonly cause: unknown } | undefined;
  const onEvent = (event: StoreEvent): void => {
    if (event.type === 'retried') metrics.countRetry(event.fault);
    else embeddedMetrics.count(event);
    if (event.type === 'poisoned') poison = event;
    logStoreEvent(log, event);
  };
  const store = await open({ world, onEvent, ...on });
  watchStore(metrics, store);
  return {
    store,
    // Old versions are in memory either way.
    snapshots: { store, max: serviceLimits.pagingSessionsMax },
    unreadiness: async () => (poison === undefined ? undefined : problem('poisoned', wayToRecover(poison.cause))),
    close: () => store.close(),
  };
}

function watchStore(metrics: Metrics, store: EmbeddedStore): void {
  metrics.watch('semel_store_poisoned', '1 once a failed write or sync has stopped the store for good.', () =>
    Number(store.status().poisoned),
  );
  metrics.watch('semel_store_keys', 'Keys in the store, its own records included.', () => store.status().keys);
  metrics.watch('semel_store_versions', 'Versions in memory, old ones included.', () => store.status().versions);
}

function logStoreEvent(log: FastifyBaseLogger, event: StoreEvent): void {
  // A torn end is no error: a crash leaves one, and no answer that left rests on it.
  if (event.type === 'recovered') log.info(event, event.tornBytes > 0 ? 'recovered, a torn end aside' : 'recovered');
  if (event.type === 'poisoned') {
    const fault = faultForLog(event.cause);
    log.error({ fault }, `the store stopped after a failed write; ${wayToRecover(event.cause)}`);
  }
}
