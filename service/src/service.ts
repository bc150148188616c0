import type { Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { pino, type DestinationStream, type Logger } from 'pino';
import { realWorld, type World } from 'semel';
import { openStore, type Disk, type EmbeddedStore, type OpenOptions, type StoreEvent } from 'semel/embedded';
import { startReaper } from 'semel/workers';
import { apiKeysOf } from './api-keys.ts';
import { buildApplication } from './application.ts';
import type { ServiceConfig } from './command-line.ts';
import { wayToRecover } from './disk-full.ts';
import { faultForLog } from './fault-problem.ts';
import { Health } from './health.ts';
import { Metrics } from './metrics.ts';
import { Paging } from './paging.ts';
import { checkPort } from './port-check.ts';
import { serviceLimits } from './service-limits.ts';

export interface ServiceOptions extends ServiceConfig {
  /** Instead of the directory, for simulation. */
  readonly disk?: Disk;
  /** Instead of the engine's own, for simulation: it may stand between the service, the engine and the disk. */
  readonly openStore?: (options: OpenOptions) => Promise<EmbeddedStore>;
  readonly world?: World;
  /** Where the log goes. Default: standard error. */
  readonly logTo?: DestinationStream;
}

export interface Service {
  /** Where it listens, with the port that the system chose if it was 0. */
  readonly url: string;
  readonly store: EmbeddedStore;
  /** Stops accepting, finishes what runs, closes the log. Calling it again waits for the same end. */
  readonly stop: () => Promise<void>;
}

/**
 * The whole service around one store.
 *
 *     opening --recovered, listening--> serving --stop--> stopping --what ran has finished--> stopped
 *
 * A failure while opening closes what was opened and is thrown. While serving, the store may get poisoned by its disk: the
 * service then goes on answering reads, and says on /readyz that it is of no use for writes. Stopping refuses new
 * requests, waits a bounded time for those under way, cuts off whoever is still connected then, and closes the store
 * last, so that what was acknowledged is durable and what was not is never half there.
 */
export async function startService(options: ServiceOptions): Promise<Service> {
  const { world = realWorld, directory, disk, host, port, logLevel, logTo = pino.destination(2) } = options;
  const open = options.openStore ?? openStore;
  const log: Logger = pino({ level: logLevel, formatters: { level: (label) => ({ level: label }) } }, logTo);
  const metrics = new Metrics();
  const health = new Health();
  const onEvent = (event: StoreEvent): void => {
    metrics.countStoreEvent(event);
    if (event.type === 'poisoned') health.poisonedBy(event.cause);
    logStoreEvent(log, event);
  };
  await checkPort(host, port);
  const store = await open({ world, onEvent, ...(disk === undefined ? { directory } : { disk }) });
  const paging = new Paging({ store, world });
  const reaper = startReaper(store, {
    world,
    onEvent(event) {
      if (event.type === 'failed')
        log.error({ fault: faultForLog(event.error) }, 'expired operations were not removed');
    },
  });
  watchStore(metrics, store, paging);
  let app: FastifyInstance | undefined;
  let silent: Silent = new Set();
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    health.stop();
    if (app !== undefined) await closeWithin(app, silent, world);
    await Promise.all([paging.close(), reaper.stop()]);
    await store.close();
  };
  try {
    const apiKeys = options.apiKeys === undefined ? undefined : apiKeysOf(options.apiKeys);
    app = await buildApplication({ store, world, paging, metrics, health, apiKeys, log });
    silent = silentConnections(app.server);
    await app.listen({ host, port, listenTextResolver: () => 'listening' });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url: urlOf(app),
    store,
    stop() {
      stopped ??= stop().then(() => log.info('stopped'));
      return stopped;
    },
  };
}

/** Waits for the requests under way, up to the bound, then cuts the connections that are left. */
async function closeWithin(app: FastifyInstance, silent: Silent, world: World): Promise<void> {
  const cancel = world.after(serviceLimits.shutdownMsMax, () => app.server.closeAllConnections());
  const closed = app.close();
  for (const socket of silent) socket.destroy();
  await closed;
  cancel();
}

type Silent = ReadonlySet<Socket>;

/** The connections on which nothing has come yet. Browsers open some in advance, and Node.js does not count them as idle. */
function silentConnections(server: Server): Silent {
  const silent = new Set<Socket>();
  server.on('connection', (socket) => {
    silent.add(socket);
    socket.once('close', () => silent.delete(socket));
  });
  server.on('request', ({ socket }) => silent.delete(socket));
  return silent;
}

function watchStore(metrics: Metrics, store: EmbeddedStore, paging: Paging): void {
  metrics.watch('semel_store_poisoned', '1 once a failed write or sync has stopped the store for good.', () =>
    Number(store.status().poisoned),
  );
  metrics.watch('semel_store_keys', 'Keys in the store, its own records included.', () => store.status().keys);
  metrics.watch('semel_store_versions', 'Versions in memory, old ones included.', () => store.status().versions);
  metrics.watch('semel_paging_sessions', 'Snapshots held open between pages.', () => paging.openCount);
}

function logStoreEvent(log: Logger, event: StoreEvent): void {
  // A torn end is no error: a crash leaves one, and no answer that left rests on it.
  if (event.type === 'recovered') log.info(event, event.tornBytes > 0 ? 'recovered, a torn end aside' : 'recovered');
  if (event.type === 'poisoned') {
    const fault = faultForLog(event.cause);
    log.error({ fault }, `the store stopped after a failed write; ${wayToRecover(event.cause)}`);
  }
}

function urlOf(app: FastifyInstance): string {
  const address: AddressInfo | string | null = app.server.address();
  if (address === null || typeof address === 'string')
    throw new Error('assertion failed: the server listens on a port');
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `http://${host}:${address.port}`;
}
