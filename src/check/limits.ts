/** Every bound of a run. All can be set; none can be infinite. */
export interface Limits {
  /** How many requests begin in a second at most, on average: a burst is paid for before the next request begins. */
  readonly ratePerSecondMax: number;
  /** How many requests are on their way at once. Checks that want more duplicates in flight send as many as this. */
  readonly concurrencyMax: number;
  /** How long one request may go without its whole answer. */
  readonly answerMsMax: number;
  /** How long a request is repeated while the answer is that the operation is still in progress. */
  readonly patienceMsMax: number;
  /** The count counts when it did not change for so long, or for twice what the effect took to show, if that is longer. */
  readonly quietMs: number;
  /** How long to wait for that. */
  readonly settleMsMax: number;
  /** How long the endpoint may take to come back after a restart. */
  readonly startupMsMax: number;
  /** How often it is killed amid a request. */
  readonly kills: number;
  /** How late a late duplicate comes, where no lifetime says it. */
  readonly lateMs: number;
  /** How long a lifetime may be to be waited for. */
  readonly lifetimeMsMax: number;
}

export const defaultLimits: Limits = Object.freeze({
  // A run sends about 500 requests, polls of the count included: it should end within a coffee, and harm no staging server.
  ratePerSecondMax: 200,
  concurrencyMax: 200,
  answerMsMax: 30_000,
  // Half a minute is longer than most handlers may run, so a key that is blocked for longer is blocked.
  patienceMsMax: 30_000,
  quietMs: 200,
  settleMsMax: 10_000,
  // What starts slowly, such as a JVM with its caches, takes half of it.
  startupMsMax: 60_000,
  // Enough to strike each tenth of the handling once, and two answers.
  kills: 12,
  // Longer than the caches that are meant for double clicks.
  lateMs: 5_000,
  // Nobody watches a run for longer than a few minutes.
  lifetimeMsMax: 120_000,
});

/** Larger answers are no answers of an operation; they would only fill the memory. */
export const answerBytesMax = 16 * 2 ** 20;
