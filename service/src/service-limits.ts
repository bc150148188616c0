/** Every bound of the service, by name. What the library bounds has its own names in kv's `limits`. */
export const serviceLimits = Object.freeze({
  /** A key, in bytes of UTF-8. kv has room for it in any script, behind the tenant's name. */
  keyBytesMax: 1_024,
  /** The body of a transaction: the largest value that kv takes, in any spelling, and room for the rest. */
  bodyBytesMax: 4_194_304,
  /**
   * The body of a PUT. JSON spells what kv keeps in 1 MiB with at most this: doubles take 26 characters for 9 bytes. Only
   * text that is escaped without need takes more.
   */
  valueBodyBytesMax: 3_145_728,
  /** The body of a DELETE, which means nothing, but tells one request under an Idempotency-Key from another. */
  deleteBodyBytesMax: 16_384,
  /**
   * Values in a body, each item and member counted. kv counts nine bytes for each, so none that a `PUT` could store has more.
   * Some of the work is by the value and not by the byte: at 4 MiB of `[1,1,…]` it would hold up everybody for most of a
   * second, and at this many for some tens of milliseconds.
   */
  jsonNodesMax: 131_072,
  /** A tenant's name, in bytes of UTF-8: it is part of each of its keys. */
  tenantBytesMax: 128,
  /** Checks, reads and mutations of one transaction, each. It keeps the answer, which is kept for replay, at a size to keep. */
  transactionEntriesMax: 1_000,
  /** What the entries that a transaction reads may add up to in its answer: it is kept whole, and 1,000,000 bytes is the most. */
  transactionReadsBytesMax: 900_000,
  /** Entries of a page, unless the query says otherwise: a screenful for a person, a few milliseconds for the server. */
  pageEntriesDefault: 100,
  pageEntriesMax: 1_000,
  /** A page ends with the entry that reaches this, in characters of JSON. */
  pageCharsMax: 4_194_304,
  /** How long a write may take, its waits included: longer than any should, shorter than most proxies wait. */
  deadlineMs: 30_000,
  /** Snapshots held open between pages. Each keeps old versions alive, so they are few. */
  pagingSessionsMax: 100,
  /** In PostgreSQL each of them holds a connection, and old rows on the disk of everybody. */
  postgresPagingSessionsMax: 5,
  /** How long a snapshot waits for its next page: several retries of a slow client, not its lunch. */
  pagingIdleMsMax: 60_000,
  /** How long a snapshot may be paged through in all. */
  pagingAgeMsMax: 600_000,
  /** How much of a body that is already refused is read on, so that its sender gets to read the answer. */
  drainBytesMax: 67_108_864,
  drainMsMax: 10_000,
  /** How long whoever asks whether the service is ready may wait for the database. Supervisors wait for some seconds. */
  readinessMsMax: 2_000,
  /** How long requests under way may take to finish once the service was told to stop. Containers are killed after 10 s. */
  shutdownMsMax: 8_000,
  /** How long a client may take to send a request: the largest body over a poor mobile network, 70 KB/s. */
  requestMsMax: 60_000,
  /** A request's head (target and headers): the longest key, every byte percent-encoded, is 3 KiB of it. */
  headBytesMax: 16_384,
});
