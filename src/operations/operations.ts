import { assert } from '../kv/assert.ts';
import { requireTimeout } from '../kv/bound.ts';
import {
  AbortedError,
  CommitUnknownError,
  DeadlineExceededError,
  InvalidArgumentError,
  LockTimeoutError,
} from '../kv/errors.ts';
import type { Isolation, Store, Transaction, TransactOptions } from '../kv/store.ts';
import { tell } from '../kv/tell.ts';
import { isolations, requireOneOf } from '../kv/transact.ts';
import { storeValue } from '../kv/value.ts';
import { realWorld, type World } from '../kv/world.ts';
import { cancel, look, recall, retentionPolicy } from '../layers/idempotency/idempotency.ts';
import type { Identity, RecordView, RetentionOptions, RetentionPolicy } from '../layers/idempotency/idempotency.ts';
import { checkIdentity, checkName } from '../layers/idempotency/record.ts';
import { attempt, Discarded, InProgressElsewhere, settledFrom } from './attempt.ts';
import { ExecutionThrew } from './execution-threw.ts';
import { InFlight, type Flight } from './in-flight.ts';
import type { Execution, Outcome, RefusalReason, Settled } from './outcome.ts';

export type {
  Fingerprint,
  Identity,
  RecordView,
  RetentionOptions,
  RetentionPolicy,
} from '../layers/idempotency/idempotency.ts';
export type { Execution, Outcome, RefusalReason } from './outcome.ts';

export interface OperationsOptions extends RetentionOptions {
  /** Bounds an execution, all its attempts and the commit. Past it the transaction is fenced. Default 30 s. */
  readonly deadlineMs?: number;
  /** How the transaction of an execution is isolated; it takes effect once at every level. Default `serializable`. */
  readonly isolation?: Isolation;
  /** How long a duplicate waits for the one in flight. Default 5 s. */
  readonly waitMs?: number;
  /** Duplicates that may wait at once, over all operations of the store. Default 10,000; of one operation 1,000 at most. */
  readonly waitersMax?: number;
  readonly world?: World;
  /** Told of every outcome, after it is durable, and not waited for. What it throws, or rejects with, is dropped, for the outcome stands. */
  readonly onEvent?: (event: OperationEvent) => void;
}

export interface RunOptions {
  /** What a duplicate of an operation in flight does. Default `wait`. */
  readonly onDuplicate?: 'wait' | 'refuse';
  readonly waitMs?: number;
  readonly deadlineMs?: number;
  readonly isolation?: Isolation;
  /** The caller's wish to stop. A request's disconnect is no such wish. */
  readonly signal?: AbortSignal;
}

export interface CancelOptions {
  /** How long to wait for one in flight. Default: as long as a duplicate. */
  readonly waitMs?: number;
  /** Ends the waiting. The commit of a burnt key, once under way, may then be unknown; another cancel tells. */
  readonly signal?: AbortSignal;
}

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
  /** `createdAt` is `undefined` where another process executes it. */
  | { readonly state: 'in-progress'; readonly createdAt: number | undefined };

export interface Operations<Tx extends Transaction = Transaction> {
  readonly policy: RetentionPolicy;
  /** Operations that this process executes on the store just now. */
  readonly inFlight: number;
  /** Duplicates that wait for one of them. */
  readonly waiting: number;
  /**
   * Executes an operation, or tells what became of it.
   *
   * `execute` may run more than once, on fresh transactions, when the store re-runs the body after a conflict. Its writes
   * and the record of its outcome commit together. A throw of it passes through, and leaves nothing.
   *
   * @throws what `execute` throws; InvalidArgumentError; AbortedError; faults of the store
   */
  run(identity: Identity, execute: (tx: Tx) => Promise<Execution>, options?: RunOptions): Promise<Outcome>;
  /** `undefined` means *not seen yet*, or forgotten; never that it did not happen. Of other processes it sees what is complete. */
  look(scope: string, key: string): Promise<OperationView | undefined>;
  /**
   * Settles an operation: waits a bounded time for one in flight, then tells its outcome, or burns the key where there is none.
   *
   * @throws InvalidArgumentError; AbortedError; faults of the store
   */
  cancel(scope: string, key: string, options?: CancelOptions): Promise<OperationView>;
}

/** Longer than a request is worth waiting for: most clients and proxies give up after 30 s, and what is left then only holds locks. */
export const defaultDeadlineMs = 30_000;
/**
 * Long enough for most operations to end, short enough for a client with a timeout of 10 s. Answering 409 at once would
 * fail the clients in the field: stripe-node sends three attempts within 1.5 s and ignores Retry-After.
 */
const defaultWaitMs = 5_000;
/** A waiter is a promise, a timer and an open request of some kilobytes: this many stay well below 100 MB. */
const defaultWaitersMax = 10_000;
/** So that a client gone mad over one key leaves room for the others. */
const waitersPerOperationMax = 1_000;
/** Nobody knows how long the rest will take; a second is no burden on either side. */
const retryAfterMs = 1_000;

/** @throws InvalidArgumentError; above all for a `retentionMs` below `retryHorizonMs` */
export function createOperations<Tx extends Transaction>(
  store: Store<Tx>,
  options: OperationsOptions = {},
): Operations<Tx> {
  const { deadlineMs = defaultDeadlineMs, waitMs = defaultWaitMs, waitersMax = defaultWaitersMax } = options;
  requireTimeout('deadlineMs', deadlineMs);
  requireTimeout('waitMs', waitMs);
  if (!Number.isSafeInteger(waitersMax) || waitersMax < 0) {
    throw new InvalidArgumentError('waitersMax', waitersMax, 'a whole number from 0');
  }
  const policy = retentionPolicy(options);
  const { world = realWorld, isolation = 'serializable', onEvent } = options;
  requireOneOf('isolation', isolation, isolations);
  return new StoreOperations(store, { policy, deadlineMs, waitMs, waitersMax, isolation, world, onEvent });
}

interface Settings {
  readonly policy: RetentionPolicy;
  readonly deadlineMs: number;
  readonly waitMs: number;
  readonly waitersMax: number;
  readonly isolation: Isolation;
  readonly world: World;
  readonly onEvent: OperationsOptions['onEvent'];
}

/** One for each store, so that several doors on one store share it. */
const tables = new WeakMap<object, InFlight<Settled>>();

function tableOf(store: object): InFlight<Settled> {
  let table = tables.get(store);
  if (table === undefined) {
    table = new InFlight();
    tables.set(store, table);
  }
  return table;
}

/** What the event tells beside the outcome. */
interface Trace {
  attempts: number;
  coalesced: boolean;
}

class StoreOperations<Tx extends Transaction> implements Operations<Tx> {
  readonly #store: Store<Tx>;
  readonly #settings: Settings;
  readonly #table: InFlight<Settled>;

  constructor(store: Store<Tx>, settings: Settings) {
    this.#store = store;
    this.#settings = settings;
    this.#table = tableOf(store);
  }

  get policy(): RetentionPolicy {
    return this.#settings.policy;
  }

  get inFlight(): number {
    return this.#table.size;
  }

  get waiting(): number {
    return this.#table.waiting;
  }

  async run(identity: Identity, execute: (tx: Tx) => Promise<Execution>, options: RunOptions = {}): Promise<Outcome> {
    checkIdentity(identity);
    requireTimeout('waitMs', options.waitMs);
    requireTimeout('deadlineMs', options.deadlineMs);
    requireOneOf('onDuplicate', options.onDuplicate ?? 'wait', ['wait', 'refuse']);
    const { world } = this.#settings;
    const startedMs = world.monotonicMs();
    const trace: Trace = { attempts: 0, coalesced: false };
    const emit = (facts: EventFacts): void => {
      const { scope, key } = identity;
      const durationMs = world.monotonicMs() - startedMs;
      tell(this.#settings.onEvent, { scope, key, ...facts, ...trace, durationMs });
    };
    try {
      const outcome = (await this.#recall(identity, options)) ?? (await this.#board(identity, execute, options, trace));
      emit(factsOf(outcome));
      return outcome;
    } catch (error) {
      emit({ outcome: 'failed', error });
      throw error;
    }
  }

  async look(scope: string, key: string): Promise<OperationView | undefined> {
    const name = { scope, key };
    // Before the read: one that ends in between was in progress when it was asked for.
    const flight = this.#table.find(name);
    const known = await this.#store.read((tx) => look(tx, name));
    return known ?? (flight && { state: 'in-progress', createdAt: flight.startedAt });
  }

  async cancel(scope: string, key: string, options: CancelOptions = {}): Promise<OperationView> {
    const name = { scope, key };
    checkName(name);
    requireTimeout('waitMs', options.waitMs);
    const { world, deadlineMs, policy } = this.#settings;
    const { waitMs = this.#settings.waitMs, signal } = options;
    const startedMs = world.monotonicMs();
    const flight = this.#table.find(name);
    if (flight !== undefined && (await this.#table.watch(flight, { world, waitMs, signal })) === 'late') {
      return { state: 'in-progress', createdAt: flight.startedAt };
    }
    const bounds = { timeoutMs: deadlineMs, ...(signal === undefined ? {} : { signal }) };
    const known = await this.#store.read((tx) => look(tx, name), bounds);
    if (known !== undefined) return known;
    const lockTimeoutMs = Math.max(0, waitMs - (world.monotonicMs() - startedMs));
    try {
      return await this.#store.transact((tx) => cancel(tx, name, { policy, lockTimeoutMs }), {
        ...bounds,
        label: 'cancel',
      });
    } catch (error) {
      if (!(error instanceof LockTimeoutError)) throw error;
      return { state: 'in-progress', createdAt: this.#table.find(name)?.startedAt };
    }
  }

  /**
   * What a durable record answers. Replaying is no write: it takes no lock, waits for nobody, and goes on when the store
   * takes no more writes. `undefined` decides nothing; the claim looks again.
   */
  async #recall(identity: Identity, options: RunOptions): Promise<Outcome | undefined> {
    // There the claim finds the record in its one round trip, so a read before would be one more.
    if (this.#store.isRemote || this.#table.find(identity) !== undefined) return undefined;
    const { policy, deadlineMs } = this.#settings;
    const { deadlineMs: timeoutMs = deadlineMs, signal } = options;
    try {
      const bounds = { timeoutMs, ...(signal === undefined ? {} : { signal }) };
      const answer = await this.#store.read((tx) => recall(tx, identity, { policy }), bounds);
      return answer && settledFrom(answer);
    } catch (error) {
      return outcomeOf(error);
    }
  }

  /** Takes a place in the table, and what follows from it. */
  async #board(
    identity: Identity,
    execute: (tx: Tx) => Promise<Execution>,
    options: RunOptions,
    trace: Trace,
  ): Promise<Outcome> {
    const { world, waitersMax } = this.#settings;
    const { onDuplicate = 'wait', waitMs = this.#settings.waitMs, signal } = options;
    const { place, flight } = this.#table.board(identity, world.now());
    if (place === 'mismatch') return { outcome: 'mismatch' };
    if (place === 'owner') return this.#own(flight, identity, execute, options, trace);
    if (onDuplicate === 'refuse') return { outcome: 'in-progress', retryAfterMs };
    if (this.#table.waiting >= waitersMax || flight.waiters.size >= waitersPerOperationMax) {
      return { outcome: 'refused', reason: 'too-many-waiters' };
    }
    const turn = await this.#table.wait(flight, { world, waitMs, signal });
    switch (turn.turn) {
      case 'owner':
        return this.#own(flight, identity, execute, options, trace);
      case 'shared':
        trace.coalesced = true;
        return asDuplicate(turn.shared);
      case 'late':
        return { outcome: 'in-progress', retryAfterMs };
    }
  }

  /**
   * Commits; and where a connection was lost around the commit, finds out what became of it. The claim waits until that transaction is over,
   * for it holds the lock; then it finds the record, or no record, and in the second case the operation did not happen and is executed.
   */
  async #settle(
    body: (tx: Tx) => Promise<Settled>,
    bounds: TransactOptions & { readonly timeoutMs: number },
  ): Promise<Settled> {
    const { world } = this.#settings;
    const startedMs = world.monotonicMs();
    try {
      return await this.#store.transact(body, { ...bounds, label: 'operation' });
    } catch (error) {
      if (!this.#store.isRemote || !canBeSettled(error)) throw error;
      const timeoutMs = Math.max(0, bounds.timeoutMs - (world.monotonicMs() - startedMs));
      try {
        return await this.#store.transact(body, { ...bounds, timeoutMs, label: 'operation' });
      } catch (fault) {
        throw rulesOutTheFirst(fault) ? fault : error;
      }
    }
  }

  /** Executes as the flight's owner, and ends the flight whatever happens. */
  async #own(
    flight: Flight<Settled>,
    identity: Identity,
    execute: (tx: Tx) => Promise<Execution>,
    options: RunOptions,
    trace: Trace,
  ): Promise<Outcome> {
    const { world, policy } = this.#settings;
    const { onDuplicate = 'wait', waitMs = this.#settings.waitMs, deadlineMs = this.#settings.deadlineMs } = options;
    const lockTimeoutMs = onDuplicate === 'wait' ? waitMs : 0;
    const body = (tx: Tx): Promise<Settled> => {
      trace.attempts += 1;
      return attempt(tx, identity, execute, { world, policy, lockTimeoutMs });
    };
    try {
      const { signal, isolation = this.#settings.isolation } = options;
      const bounds = { timeoutMs: deadlineMs, isolation, ...(signal === undefined ? {} : { signal }) };
      const settled = await this.#settle(body, bounds);
      this.#table.share(flight, settled);
      return settled;
    } catch (error) {
      // Nothing was kept, or nobody can tell: whoever comes next asks the store again.
      this.#table.pass(flight);
      return outcomeOf(error);
    }
  }
}

/** Whether another run can tell what became of a commit: not where the store itself has failed, nor for who has stopped waiting. */
function canBeSettled(error: unknown): error is CommitUnknownError {
  if (!(error instanceof CommitUnknownError)) return false;
  return !(error.cause instanceof DeadlineExceededError || error.cause instanceof AbortedError);
}

/** It got so far that it had the claim: then the transaction before it is over, and left nothing. Whoever still has it may be just that one. */
function rulesOutTheFirst(fault: unknown): boolean {
  return fault instanceof Discarded || fault instanceof ExecutionThrew;
}

type EventFacts = Pick<OperationEvent, 'outcome' | 'keep' | 'reason' | 'error'>;

function factsOf(outcome: Outcome): EventFacts {
  if (outcome.outcome === 'executed') return { outcome: outcome.outcome, keep: outcome.keep };
  if (outcome.outcome === 'refused') return { outcome: outcome.outcome, reason: outcome.reason };
  return { outcome: outcome.outcome };
}

/** The owner's outcome, as it looks to who did not execute. Each gets bytes of its own. */
function asDuplicate(settled: Settled): Outcome {
  if (settled.outcome !== 'executed' && settled.outcome !== 'replayed') return settled;
  const { completedAt, expiresAt } = settled;
  assert(completedAt !== undefined && expiresAt !== undefined, 'only what was kept is shared');
  return { outcome: 'replayed', result: storeValue(settled.result).value, completedAt, expiresAt };
}

/** @throws what the execution threw; the fault itself, where it has no outcome of its own */
function outcomeOf(fault: unknown): Outcome {
  if (fault instanceof Discarded) {
    const { keep, result } = fault.execution;
    return { outcome: 'executed', keep, result, completedAt: undefined, expiresAt: undefined };
  }
  if (fault instanceof ExecutionThrew) throw fault.thrown;
  if (fault instanceof InProgressElsewhere) return { outcome: 'in-progress', retryAfterMs };
  if (fault instanceof DeadlineExceededError) return { outcome: 'refused', reason: 'deadline' };
  if (fault instanceof CommitUnknownError) return { outcome: 'refused', reason: 'commit-unknown' };
  throw fault;
}
