import type { Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { pino, type DestinationStream, type Logger } from 'pino';
import { realWorld, type World } from 'semel';
import { startReaper } from 'semel/workers';
import { apiKeysOf } from './api-keys.ts';
import { buildApplication } from './application.ts';
import type { ServiceConfig } from './command-line.ts';
import type { DataPlace } from './data-place.ts';
import { openEmbeddedStorage } from './embedded-storage.ts';
import { faultForLog } from './fault-problem.ts';
import { Health } from './health.ts';
import { Metrics } from './metrics.ts';
import { Paging } from './paging.ts';
import { checkPort } from './port-check.ts';
import { openPostgresStorage } from './postgres-storage.ts';
import { serviceLimits } from './service-limits.ts';
import type { Storage, StorageContext } from './storage.ts';

export interface ServiceOptions extends ServiceConfig {
  /** Instead of that of `place`, for simulation: it may stand between the service, the engine and what that keeps the data on. */
  readonly openStorage?: (context: StorageContext) => Promise<Storage>;
  readonly world?: World;
  /** Where the log goes. Default: standard error. */
  readonly logTo?: DestinationStream;
}

export interface Service {
  /** Where it listens, with the port that the system chose if it was 0. */
  readonly url: string;
  /** Stops accepting, finishes what runs, closes the store. Calling it again waits for the same end. */
  readonly stop: () => Promise<void>;
}

/**
 * The whole service around one store.
 *
 *     opening --recovered, listening--> serving --stop--> stopping --what ran has finished--> stopped
 *
 * A failure while opening closes what was opened and is thrown. While serving, the storage may be of no use for a
 * while or for good: /readyz says so, and what it can still answer is answered. Stopping refuses new
 * requests, waits a bounded time for those under way, cuts off whoever is still connected then, and closes the store
 * last, so that what was acknowledged is durable and what was not is never half there.
 */
export async function startService(options: ServiceOptions): Promise<Service> {
  const { world = realWorld, place, host, port, logLevel, logTo = pino.destination(2) } = options;
  const { openStorage = (context) => storageOf(place, context) } = options;
  const log: Logger = pino({ level: logLevel, formatters: { level: (label) => ({ level: label }) } }, logTo);
  const metrics = new Metrics();
  const health = new Health();
  await checkPort(host, port);
  const storage = await openStorage({ world, metrics, log });
  const paging = new Paging({ ...storage.snapshots, world });
  const reaper = startReaper(storage.store, {
    world,
    onEvent(event) {
      if (event.type === 'failed')
        log.error({ fault: faultForLog(event.error) }, 'expired operations were not removed');
    },
  });
  metrics.watch('semel_paging_sessions', 'Snapshots held open between pages.', () => paging.openCount);
  let app: FastifyInstance | undefined;
  let silent: Silent = new Set();
  let stopped: Promise<void> | undefined;
  const stop = async (): Promise<void> => {
    health.stop();
    if (app !== undefined) await closeWithin(app, silent, world);
    await Promise.all([paging.close(), reaper.stop()]);
    await storage.close();
  };
  try {
    const apiKeys = options.apiKeys === undefined ? undefined : apiKeysOf(options.apiKeys);
    app = await buildApplication({ storage, world, paging, metrics, health, apiKeys, log });
    silent = silentConnections(app.server);
    await app.listen({ host, port, listenTextResolver: () => 'listening' });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url: urlOf(app),
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

function storageOf(place: DataPlace, context: StorageContext): Promise<Storage> {
  switch (place.engine) {
    case 'embedded':
      return openEmbeddedStorage(context, { on: { directory: place.directory } });
    case 'postgres':
      return openPostgresStorage(context, place);
  }
}

function urlOf(app: FastifyInstance): string {
  const address: AddressInfo | string | null = app.server.address();
  if (address === null || typeof address === 'string')
    throw new Error('assertion failed: the server listens on a port');
  const host = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return `http://${host}:${address.port}`;
}
