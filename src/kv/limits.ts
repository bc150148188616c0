/**
 * Every bound of the promise, by name. They hold on each engine, so that what fits one fits all; each is the largest
 * number that still keeps a transaction short beside its neighbours.
 */
export const limits = Object.freeze({
  /**
   * Encoded bytes of a key: room for a 1,024-byte user string with its layer's prefix, whichever bytes it has, and no more
   * than PostgreSQL's B-tree holds, which is a third of a page.
   */
  keyBytesMax: 2_560,
  /** Encoded bytes of a value. Larger things belong in a blob store, with a reference here. */
  valueBytesMax: 1_048_576,
  /** Levels of arrays and objects inside a value. */
  valueDepthMax: 64,
  /** Distinct keys written by a transaction. */
  transactionWritesMax: 10_000,
  /** Encoded bytes of all writes of a transaction: a group commit of several must still be one quick write. */
  transactionBytesMax: 16_777_216,
  /** Additions of one transaction to one key: each is made again at the commit. */
  additionsMax: 1_000,
  /** Attempts of a transaction before its conflict is the caller's to handle. */
  attemptsMax: 64,
  /** Transactions that may wait for locks in one store. */
  lockWaitersMax: 10_000,
  /** Locks of one transaction, those of its commit included. */
  locksMax: 20_000,
  /** How long closing waits for what runs: longer than any deadline that a request should have. */
  closeTimeoutMs: 60_000,
  /** How long a lock, or a commit behind a lock, is waited for unless told otherwise. */
  lockTimeoutMs: 10_000,
  /** Sums reach no further than a signed 128-bit integer, so that every engine can hold them. */
  sumMax: 2n ** 127n - 1n,
  sumMin: -(2n ** 127n),
});
