import type { Store, Transaction } from '../kv/store.ts';
import type { Value } from '../kv/value.ts';
import type { World } from '../kv/world.ts';
import type { Identity, RecordView, RetentionOptions, RetentionPolicy } from '../layers/idempotency/idempotency.ts';

export type { Fingerprint, Identity, RecordView, RetentionOptions, RetentionPolicy } from '../layers/idempotency/idempotency.ts';

export interface OperationsOptions extends RetentionOptions {
  /** Bounds an execution, all its attempts and the commit. Past it the transaction is fenced. Default `defaultDeadlineMs`. */
  readonly deadlineMs?: number;
  /** How long a duplicate waits for the one in flight. Default `defaultWaitMs`. */
  readonly waitMs?: number;
  /** Duplicates that may wait at once, over all operations of the store. Default `defaultWaitersMax`. */
  readonly waitersMax?: number;
  readonly world?: World;
  /** Told of every outcome, after it is durable. It must not throw; what it throws is dropped, for the outcome stands. */
  readonly onEvent?: (event: OperationEvent) => void;
}

export interface RunOptions {
  /** What a duplicate of an operation in flight does. Default `wait`. */
  readonly onDuplicate?: 'wait' | 'refuse';
  readonly waitMs?: number;
  readonly deadlineMs?: number;
  /** The caller's wish to stop. A request's disconnect is no such wish. */
  readonly signal?: AbortSignal;
}

/** What an execution made, and what of it shall be kept. */
export interface Execution {
  /**
   * - `all`: the writes and the record. A success.
   * - `record`: the record alone. The writes are discarded, yet what was read is validated: a refusal that holds.
   * - `nothing`: neither, and the key is free for the next attempt. A failure.
   */
  readonly keep: 'all' | 'record' | 'nothing';
  readonly result: Value;
}

export type Outcome =
  | {
      readonly outcome: 'executed';
      readonly keep: Execution['keep'];
      readonly result: Value;
      /** `undefined` when nothing was kept. */
      readonly completedAt: number | undefined;
      readonly expiresAt: number | undefined;
    }
  | { readonly outcome: 'replayed'; readonly result: Value; readonly completedAt: number; readonly expiresAt: number }
  | { readonly outcome: 'in-progress'; readonly retryAfterMs: number }
  | { readonly outcome: 'mismatch' }
  | { readonly outcome: 'expired'; readonly expiredAt: number }
  | { readonly outcome: 'refused'; readonly reason: RefusalReason };

/**
 * - `cancelled`: the key was burnt before anything executed.
 * - `deadline`: the execution was fenced; nothing took effect.
 * - `commit-unknown`: it may have taken effect; asking again under the same identity tells.
 * - `too-many-waiters`: a duplicate that would have waited, beyond the bound. The one in flight goes on.
 */
export type RefusalReason = 'cancelled' | 'deadline' | 'commit-unknown' | 'too-many-waiters';

export interface OperationEvent {
  readonly scope: string;
  readonly key: string;
  /** `failed`: `run` threw `error`, and nothing was kept. */
  readonly outcome: Outcome['outcome'] | 'failed';
  /** Of `executed`. */
  readonly keep?: Execution['keep'];
  /** Of `refused`. */
  readonly reason?: RefusalReason;
  /** Of `failed`. */
  readonly error?: unknown;
  /** Whether it waited for another request in this process, and got that one's outcome. */
  readonly coalesced: boolean;
  /** How often the transaction's body ran; more than once after conflicts. */
  readonly attempts: number;
  readonly durationMs: number;
}

export type OperationView =
  | RecordView
  /** In this process. Another process's shows when it is complete. */
  | { readonly state: 'in-progress'; readonly createdAt: number };

export interface Operations<Tx extends Transaction = Transaction> {
  readonly policy: RetentionPolicy;
  /** Operations that this process executes on the store just now. */
  readonly inFlight: number;
  /** Duplicates that wait for one of them. */
  readonly waiting: number;
  run(identity: Identity, execute: (tx: Tx) => Promise<Execution>, options?: RunOptions): Promise<Outcome>;
  look(scope: string, key: string): Promise<OperationView | undefined>;
  cancel(scope: string, key: string): Promise<OperationView>;
}

export declare function createOperations<Tx extends Transaction>(store: Store<Tx>, options?: OperationsOptions): Operations<Tx>;
