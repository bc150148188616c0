import { describe, onTestFinished } from 'vitest';
import type { Store } from '../kv/store.ts';
import type { World } from '../kv/world.ts';
import { additionContract } from './store-contract/addition-contract.ts';
import { clockContract } from './store-contract/clock-contract.ts';
import { deadlockContract } from './store-contract/deadlock-contract.ts';
import { isolationContract } from './store-contract/isolation-contract.ts';
import { limitContract } from './store-contract/limit-contract.ts';
import { lockContract } from './store-contract/lock-contract.ts';
import { lockEndContract } from './store-contract/lock-end-contract.ts';
import { lockIfAbsentContract } from './store-contract/lock-if-absent-contract.ts';
import { nestContract } from './store-contract/nest-contract.ts';
import { readContract } from './store-contract/read-contract.ts';
import { readWriteContract } from './store-contract/read-write-contract.ts';
import { scanContract } from './store-contract/scan-contract.ts';
import type { StoreCapabilities } from './store-contract/store-capabilities.ts';
import { transactContract } from './store-contract/transact-contract.ts';

export type { StoreCapabilities } from './store-contract/store-capabilities.ts';

/**
 * The specification of `kv`, as tests: an engine is one if it passes. Call it at the top level of a vitest file.
 *
 * `open` answers an empty store, on the given world if the engine can; each test opens its own, and the suite closes it.
 * Interleavings are forced by promises, so that nothing here depends on the speed of the machine.
 */
export function storeContract(
  name: string,
  open: (world?: World) => Promise<Store>,
  supports: StoreCapabilities,
): void {
  async function openForTest(world?: World): Promise<Store> {
    const store = await open(world);
    // These run in reverse order, so the store closes last, after the sessions that were begun on it.
    onTestFinished(() => store.close());
    return store;
  }

  describe(`${name} keeps the store contract`, () => {
    readWriteContract(openForTest);
    scanContract(openForTest);
    readContract(openForTest);
    transactContract(openForTest);
    isolationContract(openForTest, supports);
    clockContract(openForTest, supports);
    additionContract(openForTest, supports);
    lockContract(openForTest, supports);
    lockEndContract(openForTest, supports);
    lockIfAbsentContract(openForTest);
    deadlockContract(openForTest, supports);
    nestContract(openForTest);
    limitContract(openForTest, supports);
  });
}
