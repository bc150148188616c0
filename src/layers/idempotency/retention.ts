import { InvalidArgumentError } from '../../kv/errors.ts';

/** What becomes of an operation's identity after its outcome. */
export interface RetentionOptions {
  /** How long an outcome is replayed, counted from its commit in memory, just before the sync. Default 72 h. */
  readonly retentionMs?: number;
  /** How long after that a late retry is still recognised. Default 30 d. */
  readonly tombstoneMs?: number;
  /** What a request meets that comes after the retention, before the tombstone's end. Default `refuse`. */
  readonly onExpired?: 'refuse' | 'execute';
  /** For how long clients may go on retrying. A retention below it is refused. */
  readonly retryHorizonMs?: number;
}

export interface RetentionPolicy {
  readonly retentionMs: number;
  readonly tombstoneMs: number;
  readonly onExpired: 'refuse' | 'execute';
}

const hourMs = 3_600_000;

/**
 * 72 hours, not the usual 24: an outcome must outlive the longest outage of a client that still means to retry. What breaks on a
 * Friday evening is noticed on Monday, mended, and its queue drained then (Brandur Leach's reckoning in rocket-rides-atomic).
 */
export const defaultRetentionMs = 72 * hourMs;

/** 30 days: what replays a queue from a backup or a dead-letter box does it within a month; a tombstone costs 100 bytes or so. */
export const defaultTombstoneMs = 30 * 24 * hourMs;

/**
 * Retention is correctness: a retry that arrives when its operation is forgotten executes a second time. So a retention
 * shorter than the clients' own horizon is refused where it is configured, not discovered where it hurts.
 *
 * @throws InvalidArgumentError
 */
export function retentionPolicy(options: RetentionOptions = {}): RetentionPolicy {
  const { retentionMs = defaultRetentionMs, tombstoneMs = defaultTombstoneMs } = options;
  const { onExpired = 'refuse', retryHorizonMs = 0 } = options;
  wholeMs('retentionMs', retentionMs, 1);
  wholeMs('tombstoneMs', tombstoneMs, 0);
  wholeMs('retryHorizonMs', retryHorizonMs, 0);
  if (onExpired !== 'refuse' && onExpired !== 'execute') {
    throw new InvalidArgumentError('onExpired', onExpired, "'refuse' or 'execute'");
  }
  if (retentionMs < retryHorizonMs) {
    throw new InvalidArgumentError('retentionMs', retentionMs, `at least retryHorizonMs, which is ${retryHorizonMs}`);
  }
  return Object.freeze({ retentionMs, tombstoneMs, onExpired });
}

/** Added to a clock they must stay exact; a century is more than enough and far below that. */
const durationMsMax = 100 * 365 * 24 * hourMs;

function wholeMs(field: string, value: number, least: number): void {
  if (!Number.isSafeInteger(value) || value < least || value > durationMsMax) {
    throw new InvalidArgumentError(field, value, `whole milliseconds from ${least} to ${durationMsMax}`);
  }
}
