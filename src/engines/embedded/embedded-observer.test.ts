import { CommitUnknownError } from 'semel';
import { openStore, type StoreEvent } from 'semel/embedded';
import { SimulatedDisk } from 'semel/testing';
import { expect, test } from 'vitest';
import { turn } from '../../testing/manual-world.ts';

test('an observer that throws, or rejects, changes nothing of what it is told', async () => {
  const told = new Set<string>();
  const unhandled: unknown[] = [];
  const listen = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', listen);
  const throwing = ({ type }: StoreEvent): void => {
    told.add(type);
    throw new Error(`told of ${type}`);
  };
  const onEvents = [throwing, async (event: StoreEvent) => throwing(event)];
  try {
    for (const onEvent of onEvents) {
      told.clear();
      const disk = new SimulatedDisk({ seed: 1 });
      const store = await openStore({ disk, onEvent });
      let attempts = 0;
      await store.transact(async (tx) => {
        tx.set(['k'], Number((await tx.get(['k'])) ?? 0) + 1);
        if (++attempts === 1) await store.transact((other) => other.set(['k'], 1));
      });
      expect(await store.read((tx) => tx.get(['k']))).toBe(2);
      disk.failSync(disk.syncs + 1);
      await expect(store.transact((tx) => tx.set(['k'], 3))).rejects.toBeInstanceOf(CommitUnknownError);
      await store.close();
      await turn();
      expect([...told].toSorted()).toEqual(['poisoned', 'recovered', 'retried', 'synced']);
    }
    expect(unhandled).toEqual([]);
  } finally {
    process.off('unhandledRejection', listen);
  }
});
