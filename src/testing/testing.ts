/** For tests of engines, and of anything that uses one. The store contract needs vitest. */
export * from './history/history.ts';
export { ManualWorld, turn, until } from './manual-world.ts';
export {
  type DiskOperation,
  type FlippedBit,
  type PowerCut,
  PowerCutError,
  SimulatedDisk,
  type SimulatedDiskOptions,
} from './simulated-disk.ts';
export { type RunLimits, SimulatedWorld, type SimulatedWorldOptions, StuckError } from './simulated-world.ts';
export { type StoreCapabilities, storeContract } from './store-contract.ts';
