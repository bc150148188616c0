import { turn, until } from '../../testing/manual-world.ts';
import { type DiskOperation, SimulatedDisk } from '../../testing/simulated-disk.ts';

/** A disk whose syncs wait, once it is closed, until it is opened again. */
export function gatedDisk() {
  let gate = Promise.withResolvers<void>();
  let waiting = 0;
  gate.resolve();
  const disk = new SimulatedDisk({
    seed: 1,
    async pause(operation: DiskOperation) {
      if (operation !== 'sync') return;
      waiting++;
      await gate.promise;
      waiting--;
    },
  });
  return {
    disk,
    close: () => (gate = Promise.withResolvers()),
    open: () => gate.resolve(),
    /** Resolves when a sync waits. */
    syncing: () => until(() => waiting > 0),
  };
}

/** Whether a promise has settled by the time everything runnable has run. */
export async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const note = (): void => void (settled = true);
  promise.then(note, note);
  for (let turns = 0; turns < 5; turns++) await turn();
  return settled;
}
