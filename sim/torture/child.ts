import { flushCompileCache } from 'node:module';
import type { Store } from 'semel';
import { openStore, type Disk, type EmbeddedStore, type OpenOptions, type StoreEvent } from 'semel/embedded';
import type { DataPlace } from '../../service/src/data-place.ts';
import { openEmbeddedStorage } from '../../service/src/embedded-storage.ts';
import { openPostgresStorage } from '../../service/src/postgres-storage.ts';
import { startService, type Service } from '../../service/src/service.ts';
import type { Storage, StorageContext } from '../../service/src/storage.ts';
import { nodeDisk } from '../../src/engines/embedded/node-disk.ts';
import type { Arming } from './kill-point.ts';
import { KillSwitch } from './kill-switch.ts';
import { killingDisk } from './killing-disk.ts';
import { killingStore } from './killing-store.ts';

/** So little that a round goes over to new segments, and kills meet checkpoints that are being written. */
const oftenACheckpoint = Object.freeze({ segmentBytes: 50_000, checkpointBytes: 100_000 });

/** What a child is told to serve. */
export interface ChildOrder {
  readonly place: DataPlace;
  readonly markerPath: string;
  /** In force from the first operation on the disk. */
  readonly arming?: Arming;
}

export type ToChild =
  | { readonly type: 'serve'; readonly order: ChildOrder }
  | { readonly type: 'arm'; readonly arming: Arming };

export type FromChild =
  | { readonly type: 'ready'; readonly url: string; readonly recovery?: Recovery }
  | { readonly type: 'armed' };

export type Recovery = Omit<Extract<StoreEvent, { type: 'recovered' }>, 'type'>;

export interface ChildParts {
  /** What a deliberately wrong service does to the disk, or to the store, of the right one. */
  readonly spoilDisk?: (disk: Disk) => Disk;
  readonly spoilStore?: (store: Store) => Store;
}

/**
 * The real service, with its own disk and its own engine, in a process that kills itself when it is told to. What stands between
 * service, engine and disk passes everything on as it is. It waits for the order to serve, so that one can be loaded while
 * another one runs; until then it has touched nothing.
 */
export function runChild(parts: ChildParts = {}): void {
  // It is written at exit, and a process that is killed has none.
  flushCompileCache();
  let killSwitch: KillSwitch | undefined;
  process.on('message', (message: ToChild) => {
    if (message.type === 'arm') {
      killSwitch?.arm(message.arming);
      tell({ type: 'armed' });
      return;
    }
    killSwitch = new KillSwitch(message.order.markerPath, message.order.arming);
    void serve(message.order, killSwitch, parts).then(tell);
  });
  // Nobody is left to serve; the driver has been stopped.
  process.on('disconnect', () => process.exit());
}

function serve({ place }: ChildOrder, killSwitch: KillSwitch, parts: ChildParts): Promise<FromChild> {
  return place.engine === 'embedded'
    ? serveDirectory(place.directory, killSwitch, parts)
    : serveDatabase(place, killSwitch, parts);
}

async function serveDirectory(
  directory: string,
  killSwitch: KillSwitch,
  { spoilDisk = same, spoilStore = same }: ChildParts,
): Promise<FromChild> {
  let isServing = false;
  let recovery: Recovery | undefined;
  const disk = killingDisk(spoilDisk(await nodeDisk(directory)), killSwitch, () => isServing);
  const open = async (options: OpenOptions): Promise<EmbeddedStore> => {
    const onEvent = (event: StoreEvent): void => {
      if (event.type === 'recovered') recovery = event;
      options.onEvent?.(event);
    };
    const store = await openStore({ ...options, ...oftenACheckpoint, onEvent });
    return {
      ...spoilStore(killingStore(store, killSwitch)),
      status: () => store.status(),
      checkpoint: () => store.checkpoint(),
      backup: (to, bounds) => store.backup(to, bounds),
    };
  };
  const service = await startOn({ engine: 'embedded', directory }, (context) =>
    openEmbeddedStorage(context, { on: { disk }, open }),
  );
  // A start that needed fewer steps than the order counts is cut behind its last one.
  if (killSwitch.isArmedFor('during-recovery')) killSwitch.die('during-recovery', { step: 'behind the last step' });
  isServing = true;
  if (recovery === undefined) throw new Error('assertion failed: a store that is open has been recovered');
  return { type: 'ready', url: service.url, recovery };
}

async function serveDatabase(
  place: Extract<DataPlace, { engine: 'postgres' }>,
  killSwitch: KillSwitch,
  { spoilStore = same }: ChildParts,
): Promise<FromChild> {
  const service = await startOn(place, async (context) => {
    const storage = await openPostgresStorage(context, place);
    return { ...storage, store: spoilStore(killingStore(storage.store, killSwitch)) };
  });
  return { type: 'ready', url: service.url };
}

function startOn(place: DataPlace, openStorage: (context: StorageContext) => Promise<Storage>): Promise<Service> {
  return startService({ place, host: '127.0.0.1', port: 0, apiKeys: undefined, logLevel: 'info', openStorage });
}

function tell(message: FromChild): void {
  process.send?.(message);
}

function same<T>(given: T): T {
  return given;
}
