/** What an engine may lack. Where it declares a lack, the suite proves that it is one. */
export interface StoreCapabilities {
  /** Time, timers and randomness are those of the world that `open` is given; otherwise the engine has its own. */
  readonly injectedWorld: boolean;
  /**
   * A transaction conflicts if, and only if, something that it read has changed since. Otherwise it conflicts where no serial order is
   * left, and may do so over a neighbour of what it read; a read that is merely old may commit, as if it came before.
   */
  readonly exactConflicts: boolean;
  /** Additions to one key never conflict. Otherwise they may where a transaction had read something before. */
  readonly commutingAdditions: boolean;
  /** A range locks nothing outside of it. Otherwise it may lock everything. */
  readonly exactRangeLocks: boolean;
  /** A commit waits for locks on what it writes. Otherwise a transaction that has read or locked before is run again, with those locks first. */
  readonly waitingCommits: boolean;
}
