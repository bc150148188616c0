import { Bound } from './bound.ts';
import {
  CommitUnknownError,
  ConflictError,
  type DeadlockError,
  InvalidArgumentError,
  LimitExceededError,
  LockTimeoutError,
} from './errors.ts';
import type { Key } from './key.ts';
import { limits } from './limits.ts';
import type { Durability, Isolation, Transaction, TransactOptions } from './store.ts';
import { encodeKey } from './tuple.ts';
import type { World } from './world.ts';

/** What an engine implements, for `transact` alone: a transaction's body never sees it. */
export interface Engine<Tx extends Transaction> {
  readonly world: World;
  begin(options: AttemptOptions): Attempt<Tx>;
  /** A fault is about to be answered by another attempt. */
  onRetry?(fault: RetryableFault): void;
}

export type RetryableFault = ConflictError | DeadlockError;

/** The body asked for the time before it had a snapshot. It runs again on one that was taken first; that is no attempt more. */
export class EarlyClockError extends ConflictError {
  constructor() {
    super([]);
    this.message = 'the time was asked for before the first read; the body runs again';
  }
}

export interface AttemptOptions {
  readonly isolation: Isolation;
  readonly label: string | undefined;
  /** What its outcome rests on. `undefined`: the engine's default. */
  readonly durability: Durability | undefined;
  /** The first attempt's age, for the later ones: who began earlier wins a deadlock, so nobody starves. */
  readonly age: number | undefined;
}

export interface Attempt<Tx> {
  readonly tx: Tx;
  readonly age: number;
  /** Why this attempt can no longer commit, where another one may: whatever its body made of it. */
  readonly fault: RetryableFault | undefined;
  /** Whether the writes are in place, so that only their durability is still open. */
  readonly installed: boolean;
  /** Whether this attempt has written a key. */
  wrote(key: Key): boolean;
  /** Validates and installs; resolves when durable. `undefined` where that is so already, or is not to be waited for. */
  commit(): Promise<void> | undefined;
  /** Ends it without a commit: its waits reject with `cause`, its locks are free. Nothing happens after its end. */
  abandon(cause?: Error): void;
  /** Resolves when everything that it has read is durable: no outcome may leave before. `undefined` as above. */
  settled(): Promise<void> | undefined;
}

/**
 * The only retry loop of the library.
 *
 * An attempt runs the body, then commits. A conflict or a deadlock ends the attempt and starts another, after a pause
 * with full jitter (random between nothing and a bound that doubles: AWS Architecture Blog, "Exponential Backoff And
 * Jitter"), up to `attemptsMax`. An attempt that follows a conflict first locks the keys that collided, exclusively where
 * the earlier one wrote them: then it cannot lose them again, and on a hot key the writers queue instead of undoing each
 * other.
 *
 * The bound covers everything. While the body runs, or the commit waits for locks, its end fences the attempt: nothing
 * happened. During the sync it leaves the outcome unknown.
 */
export async function transact<Tx extends Transaction, T>(
  engine: Engine<Tx>,
  body: (tx: Tx) => T | Promise<T>,
  options: TransactOptions = {},
): Promise<T> {
  const { isolation = 'serializable', attemptsMax = limits.attemptsMax, label, durability } = options;
  requireOneOf('isolation', isolation, isolations);
  if (durability !== undefined) requireOneOf('durability', durability, durabilities);
  if (!Number.isSafeInteger(attemptsMax) || attemptsMax < 1) {
    throw new InvalidArgumentError('attemptsMax', attemptsMax, 'a whole number from 1');
  }
  const bound = new Bound(engine.world, options);
  try {
    let age: number | undefined;
    let collided: readonly LockFirst[] = [];
    for (let number = 1; ;) {
      const attempt = engine.begin({ isolation, label, durability, age });
      age = attempt.age;
      let fault: RetryableFault;
      try {
        if (collided.length > 0) await bound.race(lockAll(attempt.tx, collided));
        const result = await bound.race(body(attempt.tx));
        const durable = attempt.commit();
        if (durable !== undefined) await bound.race(durable);
        return result;
      } catch (error) {
        fault = await retryable(attempt, error, bound);
      }
      if (fault instanceof EarlyClockError) continue;
      if (number >= attemptsMax) {
        await bound.race(attempt.settled());
        throw fault;
      }
      engine.onRetry?.(fault);
      collided = fault instanceof ConflictError ? locksFirst(attempt, fault.keys) : [];
      await bound.race(pause(engine.world, number++));
    }
  } finally {
    bound.close();
  }
}

export const isolations: readonly Isolation[] = ['serializable', 'snapshot', 'read-committed'];
export const durabilities: readonly Durability[] = ['durable', 'visible'];

/** Ends an attempt that has failed. Answers why where another one may do better; else throws what its caller is told. */
async function retryable(attempt: Attempt<unknown>, error: unknown, bound: Bound): Promise<RetryableFault> {
  if (attempt.installed) {
    const reason =
      error === bound.fault
        ? 'the caller stopped waiting during the commit'
        : 'the disk, or the connection to the database, failed during the commit';
    throw new CommitUnknownError(reason, { cause: error });
  }
  attempt.abandon(bound.fault);
  if (bound.fault !== undefined) throw bound.fault;
  if (attempt.fault !== undefined) return attempt.fault;
  await bound.race(attempt.settled());
  throw error;
}

interface LockFirst {
  readonly key: Key;
  readonly mode: 'shared' | 'exclusive';
}

/** Beyond these few, queueing would cost more than it saves. */
const locksFirstMax = 16;

/** In key order, so that two attempts that lock the same keys never wait for each other in a circle. */
function locksFirst(attempt: Attempt<unknown>, keys: readonly Key[]): readonly LockFirst[] {
  const ordered = keys.toSorted((a, b) => (encodeKey(a) < encodeKey(b) ? -1 : 1)).slice(0, locksFirstMax);
  return ordered.map((key) => ({ key, mode: attempt.wrote(key) ? 'exclusive' : 'shared' }));
}

/** A precaution that the body has not asked for: where somebody holds a key for long, it goes on without. */
async function lockAll(tx: Transaction, locks: readonly LockFirst[]): Promise<void> {
  try {
    for (const { key, mode } of locks) await tx.lock(key, { mode });
  } catch (error) {
    if (!(error instanceof LockTimeoutError || error instanceof LimitExceededError)) throw error;
  }
}

/** The pause's bound doubles from the first to the second: shorter than a body would not thin out a crowd, longer would idle. */
const pauseMs = Object.freeze({ first: 1, max: 100 });

function pause(world: World, attempts: number): Promise<void> {
  const boundMs = Math.min(pauseMs.max, pauseMs.first * 2 ** (attempts - 1));
  const delayMs = world.random() * boundMs;
  return new Promise((resolve) => {
    if (delayMs < 1) world.defer(resolve);
    else world.after(delayMs, resolve);
  });
}

export function requireOneOf<T extends string>(
  field: string,
  value: unknown,
  allowed: readonly T[],
): asserts value is T {
  if (!(allowed as readonly unknown[]).includes(value))
    throw new InvalidArgumentError(field, value, allowed.join(', '));
}
