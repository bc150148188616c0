import { openStore, type Disk, type EmbeddedStore, type StoreEvent } from 'semel/embedded';
import { startService } from '../../service/src/service.ts';
import { nodeDisk } from '../../src/engines/embedded/node-disk.ts';
import type { Arming } from './kill-point.ts';
import { KillSwitch } from './kill-switch.ts';
import { killingDisk } from './killing-disk.ts';
import { killingStore } from './killing-store.ts';

/** The first argument of a child, as JSON. */
export interface ChildOrder {
  readonly directory: string;
  readonly markerPath: string;
  /** In force from the first operation on the disk. */
  readonly arming?: Arming;
}

export type ToChild = { readonly type: 'arm'; readonly arming: Arming };

export type FromChild =
  | { readonly type: 'ready'; readonly url: string; readonly recovery: Recovery }
  | { readonly type: 'armed' };

export type Recovery = Omit<Extract<StoreEvent, { type: 'recovered' }>, 'type'>;

export interface ChildParts {
  /** What a deliberately wrong service does to the disk, or to the store, of the right one. */
  readonly spoilDisk?: (disk: Disk) => Disk;
  readonly spoilStore?: (store: EmbeddedStore) => EmbeddedStore;
}

/**
 * The real service, with its own disk and its own engine, in a process that kills itself when it is told to. What stands between
 * service, engine and disk passes everything on as it is.
 */
export async function runChild({ spoilDisk = same, spoilStore = same }: ChildParts = {}): Promise<void> {
  const order = JSON.parse(process.argv[2] ?? '') as ChildOrder;
  const killSwitch = new KillSwitch(order.markerPath, order.arming);
  let isServing = false;
  let recovery: Recovery | undefined;
  const service = await startService({
    directory: order.directory,
    host: '127.0.0.1',
    port: 0,
    apiKeys: undefined,
    logLevel: 'info',
    async openStore({ directory: _, ...options }) {
      const disk = killingDisk(spoilDisk(await nodeDisk(order.directory)), killSwitch, () => isServing);
      const onEvent = (event: StoreEvent): void => {
        if (event.type === 'recovered') recovery = event;
        options.onEvent?.(event);
      };
      return spoilStore(killingStore(await openStore({ ...options, disk, onEvent }), killSwitch));
    },
  });
  // A start that needed fewer steps than the order counts is cut behind its last one.
  if (killSwitch.isArmedFor('during-recovery')) killSwitch.die('during-recovery', { step: 'behind the last step' });
  isServing = true;
  if (recovery === undefined) throw new Error('assertion failed: a store that is open has been recovered');
  process.on('message', (message: ToChild) => {
    killSwitch.arm(message.arming);
    tell({ type: 'armed' });
  });
  // Nobody is left to serve; the driver has been stopped.
  process.on('disconnect', () => process.exit());
  tell({ type: 'ready', url: service.url, recovery });
}

function tell(message: FromChild): void {
  process.send?.(message);
}

function same<T>(given: T): T {
  return given;
}
