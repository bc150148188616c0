import { expect, test } from 'vitest';
import type { Entry, Store } from '../../kv/store.ts';
import { ManualWorld } from '../../testing/manual-world.ts';
import { PowerCutError, SimulatedDisk } from '../../testing/simulated-disk.ts';
import { openStore } from './embedded-store.ts';

/**
 * Money moves between accounts while the power is cut at every operation of the disk in turn. The invariant is too small to
 * doubt: whatever was acknowledged is there, whatever is there is there in full, and no money came or went.
 */
const accounts = 4;
const opening = 100;
const transfersEach = 6;

async function openAccounts(store: Store): Promise<void> {
  await store.transact((tx) => {
    for (let account = 0; account < accounts; account++) tx.set(['account', account], opening);
  });
}

/** Clients that each make transfers one after the other, until their store fails them; answers what was acknowledged. */
async function transfer(store: Store, seed: number): Promise<ReadonlySet<string>> {
  const acknowledged = new Set<string>();
  const client = async (from: number): Promise<void> => {
    for (let count = 0; count < transfersEach; count++) {
      const to = (from + 1 + ((seed + count) % (accounts - 1))) % accounts;
      const id = `${from}-${count}`;
      await store.transact(async (tx) => {
        const paid = await tx.add(['account', from], -10, { min: 0 });
        if (paid.outcome === 'refused') return;
        await tx.add(['account', to], 10);
        tx.set(['transfer', id], { from, to });
      });
      acknowledged.add(id);
    }
  };
  await Promise.allSettled(Array.from({ length: accounts }, (_, from) => client(from)));
  return acknowledged;
}

async function contents(store: Store): Promise<readonly Entry[]> {
  return store.read((tx) => Array.fromAsync(tx.scan({})));
}

async function check(disk: SimulatedDisk, acknowledged: ReadonlySet<string>, opened: boolean): Promise<SimulatedDisk> {
  const store = await openStore({ disk, world: new ManualWorld() });
  const entries = await contents(store);
  const balances = Array.from({ length: accounts }, () => opening);
  const transfers = new Set<string>();
  for (const { key, value } of entries) {
    if (key[0] !== 'transfer') continue;
    const { from, to } = value as { from: number; to: number };
    transfers.add(String(key[1]));
    balances[from] = (balances[from] ?? 0) - 10;
    balances[to] = (balances[to] ?? 0) + 10;
  }
  const found = entries.filter(({ key }) => key[0] === 'account').map(({ value }) => value);
  expect(found).toEqual(opened || found.length > 0 ? balances : []);
  for (const id of acknowledged) expect(transfers).toContain(id);
  const again = disk.kill();
  const reopened = await openStore({ disk: again, world: new ManualWorld() });
  expect(await contents(reopened)).toEqual(entries);
  return again;
}

for (const when of ['before', 'during'] as const) {
  test(`openStore recovers every acknowledged transfer, and no half of one, from a power cut ${when} each operation`, async () => {
    for (let seed = 1; seed <= 5; seed++) {
      for (let operation = 1, done = false; !done; operation++) {
        const disk = new SimulatedDisk({ seed: seed * 1_000 + operation });
        disk.cutPower({ operation, when });
        let acknowledged: ReadonlySet<string> = new Set();
        let opened = false;
        try {
          const store = await openStore({ disk, world: new ManualWorld() });
          await openAccounts(store);
          opened = true;
          acknowledged = await transfer(store, seed);
          done = disk.operations < operation;
        } catch (error) {
          if (opened || !isPowerCut(error)) throw error;
        }
        await check(disk.crash(), acknowledged, opened).catch((error: unknown) => {
          throw new Error(`seed ${seed}, power cut ${when} operation ${operation}`, { cause: error });
        });
      }
    }
  });
}

test('openStore loses nothing that was acknowledged when the process dies without a power cut', async () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const store = await openStore({ disk, world: new ManualWorld() });
  await openAccounts(store);
  const acknowledged = await transfer(store, 1);
  expect(acknowledged.size).toBe(accounts * transfersEach);
  await check(disk.kill(), acknowledged, true);
});

for (const [fault, arm] of [
  ['a sync fails', (disk: SimulatedDisk, at: number) => disk.failSync(at)],
  ['the disk is full', (disk: SimulatedDisk, at: number) => disk.limitSpace(at * 64)],
] as const) {
  test(`openStore recovers every acknowledged transfer after ${fault}, wherever that happens`, async () => {
    for (let at = 1; at <= 40; at++) {
      const disk = new SimulatedDisk({ seed: at });
      const store = await openStore({ disk, world: new ManualWorld() });
      await openAccounts(store);
      arm(disk, disk.syncs + at);
      const acknowledged = await transfer(store, at);
      await check(at % 2 === 0 ? disk.crash() : disk.kill(), acknowledged, true);
    }
  });
}

/** Anywhere in the chain of causes: the store says in its own words what stopped it. */
function isPowerCut(error: unknown): boolean {
  for (let fault = error; fault instanceof Error; fault = fault.cause) if (fault instanceof PowerCutError) return true;
  return false;
}
