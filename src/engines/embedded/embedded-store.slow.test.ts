import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from 'semel/embedded';
import { storeContract } from 'semel/testing';
import { expect, onTestFinished, test } from 'vitest';

async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'semel-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  return directory;
}

storeContract(
  'the embedded engine in a directory',
  async (world) => openStore({ directory: await temporaryDirectory(), ...(world && { world }) }),
  {
    injectedWorld: true,
    exactConflicts: true,
    commutingAdditions: true,
    exactRangeLocks: true,
    waitingCommits: true,
  },
);

// A log entry of a thousand such values is larger than a group may be: the log could not be written anew, ever.
test('openStore writes a log anew whose values are large', async () => {
  const directory = await temporaryDirectory();
  const store = await openStore({ directory });
  const value = new Uint8Array(40_000);
  const keys = Array.from({ length: 1_000 }, (_, number) => ['large', number]);
  for (let round = 0; round < 3; round++) {
    for (let from = 0; from < keys.length; from += 100) {
      await store.transact((tx) => {
        for (const key of keys.slice(from, from + 100)) tx.set(key, value);
      });
    }
  }
  await store.close();
  for (let opening = 0; opening < 2; opening++) {
    const reopened = await openStore({ directory });
    const values = await reopened.read((tx) => tx.getMany(keys));
    expect(values.every((found) => found instanceof Uint8Array && found.length === value.length)).toBe(true);
    await reopened.close();
  }
});
