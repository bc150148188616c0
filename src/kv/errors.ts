import type { Key } from './key.ts';

/**
 * Faults. Expected outcomes are values; what is thrown is one of these, and it tells the caller two things: a literal
 * `code` to branch on, and the `effect`, which answers the only question that matters after a failure:
 *
 * - `did-not-happen`: nothing of the operation took effect; it may be sent again.
 * - `unknown`: it may or may not have taken effect; only asking again under the same identity can tell.
 *
 * It speaks of this one attempt. Of an earlier one under the same identity, whose own answer was `unknown` or got lost, it
 * tells nothing.
 *
 * An operation that happened returns a value, so no error needs to say so. The facts stand in fields, never only in prose.
 */
export type Effect = 'did-not-happen' | 'unknown';

export type ErrorCode =
  | 'aborted'
  | 'commit-unknown'
  | 'conflict'
  | 'damaged'
  | 'database-refused'
  | 'database-unavailable'
  | 'deadline-exceeded'
  | 'deadlock'
  | 'directory-locked'
  | 'invalid-argument'
  | 'limit-exceeded'
  | 'lock-timeout'
  | 'poisoned'
  | 'schema-missing'
  | 'schema-newer'
  | 'schema-outdated'
  | 'snapshot-too-old'
  | 'store-closed'
  | 'transaction-closed';

export abstract class SemelError extends Error {
  abstract readonly code: ErrorCode;
  abstract readonly effect: Effect;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** A value that the caller gave cannot be used. Nothing changed. */
export class InvalidArgumentError extends SemelError {
  readonly code = 'invalid-argument';
  readonly effect = 'did-not-happen';
  readonly field: string;
  readonly found: string;
  readonly expected: string;

  constructor(field: string, value: unknown, expected: string) {
    const found = describe(value);
    super(`${field} is ${found}; expected ${expected}`);
    this.field = field;
    this.found = found;
    this.expected = expected;
  }
}

/** Something is larger than a named limit allows. Nothing changed. */
export class LimitExceededError extends SemelError {
  readonly code = 'limit-exceeded';
  readonly effect = 'did-not-happen';
  readonly limit: string;
  readonly maximum: number;
  readonly found: number;

  constructor(limit: string, maximum: number, found: number) {
    super(`${limit} is ${maximum}, found ${found}`);
    this.limit = limit;
    this.maximum = maximum;
    this.found = found;
  }
}

/** Another transaction changed what this one had read (or, at `snapshot` isolation, written). `keys` tells what collided. */
export class ConflictError extends SemelError {
  readonly code = 'conflict';
  readonly effect = 'did-not-happen';
  readonly keys: readonly Key[];

  constructor(keys: readonly Key[]) {
    super(`another transaction changed ${keys.map(describe).join(', ')}`);
    this.keys = keys;
  }
}

/** One of the transactions of a deadlock was chosen to give way. `cycle` tells who waited for what, the victim first. */
export class DeadlockError extends SemelError {
  readonly code = 'deadlock';
  readonly effect = 'did-not-happen';
  readonly cycle: readonly DeadlockLink[];

  constructor(cycle: readonly DeadlockLink[]) {
    const links = cycle.map((link) => `${link.transaction} waits for ${link.waitsFor}`);
    super(`deadlock: ${links.join(', ')}, and so round`);
    this.cycle = cycle;
  }
}

export interface DeadlockLink {
  /** The transaction's label, or its number where it has none. */
  readonly transaction: string;
  /** The key or range that it waits for, in words. */
  readonly waitsFor: string;
}

/** A lock was not granted within its bound. */
export class LockTimeoutError extends SemelError {
  readonly code = 'lock-timeout';
  readonly effect = 'did-not-happen';
  readonly target: string;
  readonly timeoutMs: number;

  constructor(target: string, timeoutMs: number) {
    super(`no lock on ${target} within ${timeoutMs} ms`);
    this.target = target;
    this.timeoutMs = timeoutMs;
  }
}

/** The operation's own deadline passed before it committed: it is fenced, and a late commit fails. */
export class DeadlineExceededError extends SemelError {
  readonly code = 'deadline-exceeded';
  readonly effect = 'did-not-happen';
  readonly timeoutMs: number;

  constructor(timeoutMs: number, options?: ErrorOptions) {
    super(`the transaction did not commit within ${timeoutMs} ms and was fenced`, options);
    this.timeoutMs = timeoutMs;
  }
}

/** The caller's signal fired before the commit. */
export class AbortedError extends SemelError {
  readonly code = 'aborted';
  readonly effect = 'did-not-happen';

  constructor(options?: ErrorOptions) {
    super('the caller aborted before the commit', options);
  }
}

/** The commit was under way when its fate went out of sight: disk or connection failed, or the caller's bound passed before its answer. */
export class CommitUnknownError extends SemelError {
  readonly code = 'commit-unknown';
  readonly effect = 'unknown';

  constructor(reason: string, options?: ErrorOptions) {
    super(`the commit may or may not have taken effect: ${reason}`, options);
  }
}

/**
 * A write or sync failed earlier. The store takes no more writes; reads go on at the newest durable version; reopening
 * recovers. This attempt changed nothing; what was under way when the disk failed may be found in effect by the recovery.
 */
export class PoisonedError extends SemelError {
  readonly code = 'poisoned';
  readonly effect = 'did-not-happen';

  constructor(options: { readonly cause: unknown }) {
    const reason = options.cause instanceof Error ? options.cause.message : String(options.cause);
    super(`the store takes no more writes, and this attempt made none: ${reason}`, options);
  }
}

export class StoreClosedError extends SemelError {
  readonly code = 'store-closed';
  readonly effect = 'did-not-happen';

  constructor() {
    super('the store is closed');
  }
}

/** A transaction was used after its attempt, or its nested scope, had ended; or while a nested scope of it was open. */
export class TransactionClosedError extends SemelError {
  readonly code = 'transaction-closed';
  readonly effect = 'did-not-happen';

  constructor(reason: string, options?: ErrorOptions) {
    super(`the transaction can no longer be used: ${reason}`, options);
  }
}

/** The log is damaged where a crash alone cannot have damaged it. Opening is refused rather than lose what was acknowledged. */
export class DamagedError extends SemelError {
  readonly code = 'damaged';
  readonly effect = 'did-not-happen';
  readonly file: string;
  /** Where in the file the damage begins, in bytes. */
  readonly offset: number;
  readonly reason: string;

  constructor(file: string, offset: number, reason: string) {
    super(`${file} is damaged at byte ${offset}: ${reason}`);
    this.file = file;
    this.offset = offset;
    this.reason = reason;
  }
}

/** A read or a transaction went on for so long that the versions which it saw are gone. Nothing of it happened. */
export class SnapshotTooOldError extends SemelError {
  readonly code = 'snapshot-too-old';
  readonly effect = 'did-not-happen';
  readonly ageMaxMs: number;

  constructor(ageMaxMs: number) {
    super(
      `the snapshot held back old versions for more than ${ageMaxMs} ms; read less at once, or raise snapshotAgeMaxMs`,
    );
    this.ageMaxMs = ageMaxMs;
  }
}

/** Another process has the directory open. `owner` is what it wrote of itself, where that could be read. */
export class DirectoryLockedError extends SemelError {
  readonly code = 'directory-locked';
  readonly effect = 'did-not-happen';
  readonly directory: string;
  readonly owner: string;

  constructor(directory: string, owner: string) {
    super(`${directory} is in use by ${owner}`);
    this.directory = directory;
    this.owner = owner;
  }
}

const describedCharsMax = 80;

/** A value in words, for an error message: short, on one line, and with its type where that is not plain. */
export function describe(value: unknown): string {
  const words = inWords(value);
  return words.length > describedCharsMax ? `${words.slice(0, describedCharsMax)}…` : words;
}

/** What lies deeper, an array that contains itself among it, is not spelled out. */
const describedDepthMax = 3;

function inWords(value: unknown, depth = 0): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'bigint') return `${value}n`;
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'symbol') return value.toString();
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  if (Array.isArray(value)) {
    if (depth === describedDepthMax) return '…';
    return `[${value
      .slice(0, describedCharsMax)
      .map((item) => inWords(item, depth + 1))
      .join(', ')}]`;
  }
  if (typeof value === 'object' && value !== null) {
    const prototype: unknown = Object.getPrototypeOf(value);
    if (prototype === null || prototype === Object.prototype) return 'an object';
    return `an instance of ${value.constructor.name}`;
  }
  return String(value);
}
