import { assert } from '../assert.ts';
import { requireTimeout } from '../bound.ts';
import {
  AbortedError,
  DeadlockError,
  LimitExceededError,
  LockTimeoutError,
  TransactionClosedError,
} from '../errors.ts';
import { limits } from '../limits.ts';
import type { LockOptions } from '../store.ts';
import { type EncodedKey, rangeContains } from '../tuple.ts';
import type { World } from '../world.ts';
import { DeadlockSearch } from './deadlock-search.ts';
import { Claim, ClaimQueue, type LockOwner, type Wait } from './lock-claim.ts';
import { describeTarget, keyTarget, type LockTarget } from './lock-target.ts';

/**
 * Locks on keys and ranges, shared and exclusive.
 *
 * A *claim* is waiting or granted. A waiting claim becomes granted when no claim *blocks* it, and is gone when its wait
 * times out, is aborted, or its owner is chosen as a deadlock's victim. A granted claim is gone when its owner ends.
 *
 * A claim is blocked by another owner's claim that overlaps it, in modes of which one is exclusive, and that is granted
 * or has waited longer. So waiters are served in order. One exception: who holds a lock goes past the waiters that it
 * keeps waiting itself (an upgrade from shared to exclusive, say), for behind them it would wait for itself.
 *
 * Deadlock: edges of the wait-for graph appear only when claims begin to wait, so that is when a cycle is looked for, and
 * only if somebody waits for their owner, without whom there is none (deadlock-search.ts). The victim is the youngest of
 * the cycle by its first attempt.
 */
export class LockTable {
  readonly #world: World;
  readonly #byKey = new Map<EncodedKey, ClaimQueue>();
  readonly #onRanges = new ClaimQueue();
  #ownersWaiting = 0;
  #arrivals = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Whether there is no claim at all. */
  get isEmpty(): boolean {
    return this.#byKey.size === 0 && this.#onRanges.isEmpty;
  }

  /** Whether a commit of these writes would have to wait. */
  blocksWrites(owner: LockOwner, keys: Iterable<EncodedKey>): boolean {
    if (this.isEmpty) return false;
    for (const key of keys) {
      if (this.#onRanges.isEmpty && !this.#byKey.has(key)) continue;
      // Who holds a key exclusively goes past all that wait for it.
      if (owner.holdsKey(key)) continue;
      if (this.#isBlocked(new Claim(owner, keyTarget(key), 'exclusive', Infinity))) return true;
    }
    return false;
  }

  /**
   * Resolves when all of the targets are held, each of them from the moment at which it is free.
   *
   * @throws LockTimeoutError, DeadlockError, AbortedError, LimitExceededError (locksMax, lockWaitersMax), InvalidArgumentError
   */
  async acquire(owner: LockOwner, targets: readonly LockTarget[], options: LockOptions = {}): Promise<void> {
    const { mode = 'exclusive', timeoutMs = limits.lockTimeoutMs, signal } = options;
    requireTimeout('timeoutMs', timeoutMs);
    if (signal?.aborted) throw new AbortedError({ cause: signal.reason });
    let waiting: Set<Claim> | undefined;
    for (const target of targets) {
      if (owner.holds(target, mode)) continue;
      const claim = new Claim(owner, target, mode, ++this.#arrivals);
      if (this.#isBlocked(claim)) {
        if (timeoutMs === 0) throw new LockTimeoutError(describeTarget(target), 0);
        (waiting ??= new Set()).add(claim);
      } else {
        this.#requireRoom(owner, 1);
        owner.claims.add(claim);
        this.#queueOf(claim).grant(claim);
      }
    }
    if (waiting === undefined) return;
    this.#requireRoom(owner, waiting.size);
    if (owner.waits === 0 && this.#ownersWaiting >= limits.lockWaitersMax) {
      throw new LimitExceededError('lockWaitersMax', limits.lockWaitersMax, this.#ownersWaiting + 1);
    }
    await this.#wait(owner, waiting, timeoutMs, signal);
  }

  /** Gives a key back before its owner's end, which turned out to have no need of it. */
  giveBack(owner: LockOwner, key: EncodedKey): void {
    const claims = [...owner.claims].filter((claim) => claim.granted && claim.target.key === key);
    for (const claim of claims) this.#leave(claim);
    owner.forget(key);
    this.#grantAfter(claims);
  }

  /** Ends all claims of an owner; those that wait reject with `cause`, or for the owner's end. */
  release(owner: LockOwner, cause?: Error): void {
    if (owner.claims.size === 0) return;
    const claims = [...owner.claims];
    for (const claim of claims) this.#leave(claim);
    for (const claim of claims) claim.wait?.fail(cause ?? new TransactionClosedError('its attempt has ended'));
    this.#grantAfter(claims);
  }

  async #wait(
    owner: LockOwner,
    claims: ReadonlySet<Claim>,
    timeoutMs: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiting = new Set(claims);
    const wait: Wait = {
      claims: waiting,
      granted(claim) {
        waiting.delete(claim);
        if (waiting.size === 0) resolve();
      },
      fail: reject,
    };
    for (const claim of claims) {
      claim.wait = wait;
      owner.claims.add(claim);
      this.#queueOf(claim).waiting.push(claim);
    }
    const onAbort = (): void => this.#giveUp(wait, new AbortedError({ cause: signal?.reason }));
    const cancelTimer = this.#world.after(timeoutMs, () => {
      const [first] = waiting;
      if (first !== undefined) this.#giveUp(wait, new LockTimeoutError(describeTarget(first.target), timeoutMs));
    });
    signal?.addEventListener('abort', onAbort, { once: true });
    if (owner.waits++ === 0) this.#ownersWaiting++;
    try {
      this.#breakCycles(owner, waiting);
      await promise;
    } finally {
      if (--owner.waits === 0) this.#ownersWaiting--;
      for (const claim of claims) claim.wait = undefined;
      cancelTimer();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** What of a wait has been granted stays so until its owner ends. */
  #giveUp({ claims, fail }: Wait, fault: Error): void {
    const waiting = [...claims];
    for (const claim of waiting) this.#leave(claim);
    fail(fault);
    this.#grantAfter(waiting);
  }

  #queueOf({ target }: Claim): ClaimQueue {
    if (target.key === undefined) return this.#onRanges;
    let queue = this.#byKey.get(target.key);
    if (queue === undefined) this.#byKey.set(target.key, (queue = new ClaimQueue()));
    return queue;
  }

  /** @throws LimitExceededError (locksMax) */
  #requireRoom({ claims }: LockOwner, count: number): void {
    if (claims.size + count <= limits.locksMax) return;
    throw new LimitExceededError('locksMax', limits.locksMax, claims.size + count);
  }

  #leave(claim: Claim): void {
    claim.owner.claims.delete(claim);
    const queue = this.#queueOf(claim);
    queue.remove(claim);
    if (claim.target.key !== undefined && queue.isEmpty) this.#byKey.delete(claim.target.key);
  }

  #grantAfter(gone: readonly Claim[]): void {
    if (this.#ownersWaiting === 0) return;
    const seen = new Set<ClaimQueue>();
    for (const { target } of gone) {
      for (const queue of this.#queuesAt(target)) {
        if (seen.has(queue)) continue;
        seen.add(queue);
        this.#grantIn(queue);
      }
    }
  }

  /** In order of arrival, as far as it goes: a key that is held exclusively has nothing to give, but to its holder. */
  #grantIn(queue: ClaimQueue): void {
    if (queue.waiting.length === 0) return;
    const taken = (): Claim | undefined =>
      queue === this.#onRanges ? undefined : queue.granted.find(({ mode }) => mode === 'exclusive');
    let holder = taken()?.owner;
    if (holder !== undefined && holder.waits === 0) return;
    // A copy, for what is granted leaves the list.
    for (const claim of queue.waiting.slice()) {
      if (holder !== undefined && holder.waits === 0) return;
      if ((holder !== undefined && claim.owner !== holder) || this.#isBlocked(claim)) continue;
      queue.grant(claim);
      holder = taken()?.owner;
    }
  }

  /** The queues in which claims stand that may overlap a target. */
  *#queuesAt(target: LockTarget): Generator<ClaimQueue> {
    if (target.key === undefined) {
      for (const [key, queue] of this.#byKey) if (rangeContains(target, key)) yield queue;
    } else {
      const queue = this.#byKey.get(target.key);
      if (queue !== undefined) yield queue;
    }
    if (!this.#onRanges.isEmpty) yield this.#onRanges;
  }

  #isBlocked(claim: Claim): boolean {
    const { target } = claim;
    if (target.key !== undefined) {
      return this.#byKey.get(target.key)?.blocks(claim) === true || this.#onRanges.blocks(claim);
    }
    for (const queue of this.#queuesAt(target)) if (queue.blocks(claim)) return true;
    return false;
  }

  #breakCycles(owner: LockOwner, claims: ReadonlySet<Claim>): void {
    const search = new DeadlockSearch((target) => this.#queuesAt(target));
    while (claims.size > 0 && search.isAwaited(owner)) {
      const cycle = search.findCycle(owner, claims);
      if (cycle === undefined) return;
      const victim = cycle.reduce((youngest, link) => (link.owner.age > youngest.owner.age ? link : youngest));
      const at = cycle.indexOf(victim);
      this.#sacrifice(victim.owner, [...cycle.slice(at), ...cycle.slice(0, at)]);
      if (victim.owner === owner) return;
    }
  }

  #sacrifice(owner: LockOwner, cycle: readonly Claim[]): void {
    const links = cycle.map((claim) => ({
      transaction: claim.owner.label,
      waitsFor: describeTarget(claim.target),
    }));
    const fault = new DeadlockError(links);
    owner.onDeadlock(fault);
    const waiting = [...owner.claims].filter((claim) => !claim.granted);
    assert(waiting.length > 0, 'a member of a cycle waits');
    for (const claim of waiting) this.#leave(claim);
    for (const claim of waiting) claim.wait?.fail(fault);
    this.#grantAfter(waiting);
  }
}
