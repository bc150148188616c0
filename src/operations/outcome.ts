import type { Value } from '../kv/value.ts';

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

/** The outcomes that rest on a record, and so hold for every request of the same identity and fingerprint. */
export type Settled = Extract<Outcome, { outcome: 'executed' | 'replayed' | 'mismatch' | 'expired' | 'refused' }>;
