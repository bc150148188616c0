import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from 'semel/embedded';
import { onTestFinished } from 'vitest';
import { storeContract } from '../../testing/store-contract.ts';

storeContract('the embedded engine in memory', (world) => openStore({ ...(world && { world }) }), {
  injectedWorld: true,
});

storeContract(
  'the embedded engine in a directory',
  async (world) => {
    const directory = await mkdtemp(join(tmpdir(), 'semel-contract-'));
    onTestFinished(() => rm(directory, { recursive: true }));
    return openStore({ directory, ...(world && { world }) });
  },
  { injectedWorld: true },
);

// Its randomness and timers are the real ones anyway; so this proves the suite for engines that have a clock of their own.
storeContract('the embedded engine by its own clock', () => openStore(), { injectedWorld: false });
