/** The promise, for everyone who uses a store, and for who builds an engine that keeps it. */
export type {
  AddOutcome,
  Bounds,
  CallOptions,
  Durability,
  Entry,
  Isolation,
  LockOptions,
  ReadOptions,
  ReadTransaction,
  ScanOptions,
  Store,
  Transaction,
  TransactOptions,
  Version,
} from './kv/store.ts';
export type { Key, KeyPart, Range } from './kv/key.ts';
export type { Value } from './kv/value.ts';
export { limits } from './kv/limits.ts';
export { exportLines, type ExportOptions, type ExportProgress } from './kv/json-lines/export-lines.ts';
export {
  ImportError,
  importLines,
  type ImportOptions,
  type ImportProgress,
  type ImportResult,
} from './kv/json-lines/import-lines.ts';
export type { ExportHeader } from './kv/json-lines/line-format.ts';
export {
  AbortedError,
  CommitUnknownError,
  ConflictError,
  DamagedError,
  DeadlineExceededError,
  DeadlockError,
  type DeadlockLink,
  DirectoryLockedError,
  type Effect,
  type ErrorCode,
  InvalidArgumentError,
  LimitExceededError,
  LockTimeoutError,
  PoisonedError,
  SemelError,
  SnapshotTooOldError,
  StoreClosedError,
  TransactionClosedError,
} from './kv/errors.ts';

// For engines.
export { type Attempt, type AttemptOptions, type Engine, type RetryableFault, transact } from './kv/transact.ts';
export { decodeKey, type EncodedKey, type EncodedRange, encodeKey, encodeRange } from './kv/tuple.ts';
export { realWorld, type World } from './kv/world.ts';
