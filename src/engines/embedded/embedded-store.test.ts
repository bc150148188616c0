import { openStore } from 'semel/embedded';
import { storeContract } from 'semel/testing';
import { describe, onTestFinished } from 'vitest';
import { clockContract } from '../../testing/store-contract/clock-contract.ts';

storeContract('the embedded engine in memory', (world) => openStore({ ...(world && { world }) }), {
  injectedWorld: true,
  exactConflicts: true,
  commutingAdditions: true,
  exactRangeLocks: true,
  waitingCommits: true,
});

// The suite as it is for engines that take no world from outside.
describe('the embedded engine by its own clock', () => {
  clockContract(
    async () => {
      const store = await openStore();
      onTestFinished(() => store.close());
      return store;
    },
    { injectedWorld: false },
  );
});
