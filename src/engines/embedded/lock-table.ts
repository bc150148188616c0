import { assert } from '../../kv/assert.ts';
import { requireTimeout } from '../../kv/bound.ts';
import {
  AbortedError,
  DeadlockError,
  describe,
  LimitExceededError,
  LockTimeoutError,
  TransactionClosedError,
} from '../../kv/errors.ts';
import { limits } from '../../kv/limits.ts';
import type { LockOptions } from '../../kv/store.ts';
import { decodeKey, type EncodedKey, type EncodedRange, rangeContains } from '../../kv/tuple.ts';
import type { World } from '../../kv/world.ts';

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
 * Deadlock: edges of the wait-for graph appear only when a claim begins to wait, so that is when a cycle is looked for,
 * and only if its owner holds or awaits something else: otherwise nobody can be waiting for it. On a hot key, where
 * the search would be long, it is therefore never made. The victim is the youngest of the cycle by its first attempt.
 */
export class LockTable {
  readonly #world: World;
  readonly #byKey = new Map<EncodedKey, Queue>();
  readonly #onRanges = new Queue();
  #ownersWaiting = 0;
  #arrivals = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Whether a commit of these writes would have to wait. */
  blocksWrites(owner: LockOwner, keys: Iterable<EncodedKey>): boolean {
    if (this.#byKey.size === 0 && this.#onRanges.isEmpty) return false;
    for (const key of keys) {
      if (this.#isBlocked(new Claim(owner, keyTarget(key), 'exclusive', Infinity))) return true;
    }
    return false;
  }

  /** @throws LockTimeoutError, DeadlockError, AbortedError, LimitExceededError (lockWaitersMax), InvalidArgumentError */
  async acquire(owner: LockOwner, target: LockTarget, options: LockOptions = {}): Promise<void> {
    const { mode = 'exclusive', timeoutMs = limits.lockTimeoutMs, signal } = options;
    requireTimeout('timeoutMs', timeoutMs);
    if (signal?.aborted) throw new AbortedError({ cause: signal.reason });
    if (owner.holds(target, mode)) return;
    const claim = new Claim(owner, target, mode, ++this.#arrivals);
    if (!this.#isBlocked(claim)) {
      owner.claims.add(claim);
      this.#queueOf(claim).granted.push(claim);
      claim.granted = true;
      return;
    }
    if (timeoutMs === 0) throw new LockTimeoutError(describeTarget(target), 0);
    if (owner.waits === 0 && this.#ownersWaiting >= limits.lockWaitersMax) {
      throw new LimitExceededError('lockWaitersMax', limits.lockWaitersMax, this.#ownersWaiting + 1);
    }
    await this.#wait(claim, timeoutMs, signal);
  }

  /** Ends all claims of an owner; those that wait reject with `cause`, or for the owner's end. */
  release(owner: LockOwner, cause?: Error): void {
    if (owner.claims.size === 0) return;
    const claims = [...owner.claims];
    for (const claim of claims) this.#leave(claim);
    for (const claim of claims) claim.reject?.(cause ?? new TransactionClosedError('its attempt has ended'));
    this.#grantAfter(claims);
  }

  async #wait(claim: Claim, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { owner } = claim;
    const mayDeadlock = owner.claims.size > 0;
    owner.claims.add(claim);
    this.#queueOf(claim).waiting.push(claim);
    if (owner.waits++ === 0) this.#ownersWaiting++;
    const giveUp = (fault: Error): void => {
      // Granted in this very turn, before the waiter could go on.
      if (claim.granted) return;
      this.#leave(claim);
      claim.reject?.(fault);
      this.#grantAfter([claim]);
    };
    const onAbort = (): void => giveUp(new AbortedError({ cause: signal?.reason }));
    const cancelTimer = this.#world.after(timeoutMs, () =>
      giveUp(new LockTimeoutError(describeTarget(claim.target), timeoutMs)),
    );
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      await new Promise<void>((resolve, reject) => {
        claim.resolve = resolve;
        claim.reject = reject;
        if (mayDeadlock) this.#breakCycles(claim);
      });
    } finally {
      if (--owner.waits === 0) this.#ownersWaiting--;
      claim.resolve = undefined;
      claim.reject = undefined;
      cancelTimer();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #queueOf({ target }: Claim): Queue {
    if (target.key === undefined) return this.#onRanges;
    let queue = this.#byKey.get(target.key);
    if (queue === undefined) this.#byKey.set(target.key, (queue = new Queue()));
    return queue;
  }

  #leave(claim: Claim): void {
    claim.owner.claims.delete(claim);
    const queue = this.#queueOf(claim);
    remove(claim.granted ? queue.granted : queue.waiting, claim);
    if (claim.target.key !== undefined && queue.isEmpty) this.#byKey.delete(claim.target.key);
  }

  #grantAfter(gone: readonly Claim[]): void {
    if (this.#ownersWaiting === 0) return;
    for (const { target } of gone) for (const queue of this.#queuesAt(target)) this.#grantIn(queue);
  }

  /** In order of arrival, as far as it goes: a key that is held exclusively has nothing to give. */
  #grantIn(queue: Queue): void {
    const isTaken = (): boolean => queue !== this.#onRanges && queue.granted.some(({ mode }) => mode === 'exclusive');
    if (isTaken()) return;
    // A copy, for what is granted leaves the list.
    for (const claim of queue.waiting.slice()) {
      if (isTaken()) return;
      if (claim.resolve === undefined || this.#isBlocked(claim)) continue;
      remove(queue.waiting, claim);
      queue.granted.push(claim);
      claim.granted = true;
      claim.resolve();
    }
  }

  /** The queues in which claims stand that may overlap a target. */
  *#queuesAt(target: LockTarget): Generator<Queue> {
    if (target.key === undefined) {
      for (const [key, queue] of this.#byKey) if (rangeContains(target, key)) yield queue;
    } else {
      const queue = this.#byKey.get(target.key);
      if (queue !== undefined) yield queue;
    }
    if (!this.#onRanges.isEmpty) yield this.#onRanges;
  }

  #isBlocked(claim: Claim): boolean {
    for (const queue of this.#queuesAt(claim.target)) if (queue.blocks(claim)) return true;
    return false;
  }

  #breakCycles(claim: Claim): void {
    for (;;) {
      const cycle = this.#findCycle(claim);
      if (cycle === undefined) return;
      const victim = cycle.reduce((youngest, link) => (link.owner.age > youngest.owner.age ? link : youngest));
      const at = cycle.indexOf(victim);
      this.#sacrifice(victim.owner, [...cycle.slice(at), ...cycle.slice(0, at)]);
      if (victim.owner === claim.owner) return;
    }
  }

  /** A path from the claim over whoever blocks it back to its owner: the waiting claims on the way. */
  #findCycle(claim: Claim, path: readonly Claim[] = [], seen = new Set<LockOwner>()): readonly Claim[] | undefined {
    const here = [...path, claim];
    const origin = here[0]?.owner;
    for (const other of this.#blockersOf(claim)) {
      if (other.owner === origin) return here;
      if (seen.has(other.owner)) continue;
      seen.add(other.owner);
      for (const next of other.owner.claims) {
        if (next.granted) continue;
        const cycle = this.#findCycle(next, here, seen);
        if (cycle !== undefined) return cycle;
      }
    }
    return undefined;
  }

  *#blockersOf(claim: Claim): Generator<Claim> {
    for (const { granted, waiting } of this.#queuesAt(claim.target)) {
      for (const other of granted) if (blocks(other, claim)) yield other;
      for (const other of waiting) if (blocks(other, claim)) yield other;
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
    for (const claim of waiting) claim.reject?.(fault);
    this.#grantAfter(waiting);
  }
}

/** Whoever can hold locks: one attempt of a transaction. */
export class LockOwner {
  readonly label: string;
  /** The number of the first attempt; smaller is older. */
  readonly age: number;
  readonly onDeadlock: (fault: DeadlockError) => void;
  readonly claims = new Set<Claim>();
  /** How many of its claims wait. */
  waits = 0;

  constructor(label: string, age: number, onDeadlock: (fault: DeadlockError) => void) {
    this.label = label;
    this.age = age;
    this.onDeadlock = onDeadlock;
  }

  holds(target: LockTarget, mode: LockMode): boolean {
    for (const claim of this.claims) {
      if (claim.granted && (claim.mode === 'exclusive' || mode === 'shared') && covers(claim.target, target))
        return true;
    }
    return false;
  }
}

export type LockMode = 'shared' | 'exclusive';

/** A range; for a single key the range that holds it alone, and the key. */
export interface LockTarget extends EncodedRange {
  readonly key: EncodedKey | undefined;
}

export function keyTarget(key: EncodedKey): LockTarget {
  // No key lies between a key and itself with a zero byte behind.
  return { key, start: key, end: `${key}\0` };
}

export function rangeTarget(range: EncodedRange): LockTarget {
  return { key: undefined, start: range.start, end: range.end };
}

class Claim {
  readonly owner: LockOwner;
  readonly target: LockTarget;
  readonly mode: LockMode;
  readonly arrival: number;
  granted = false;
  resolve: (() => void) | undefined;
  reject: ((fault: Error) => void) | undefined;

  constructor(owner: LockOwner, target: LockTarget, mode: LockMode, arrival: number) {
    this.owner = owner;
    this.target = target;
    this.mode = mode;
    this.arrival = arrival;
  }
}

/** The claims on one key, or those on ranges; both lists in order of arrival. */
class Queue {
  readonly granted: Claim[] = [];
  readonly waiting: Claim[] = [];

  get isEmpty(): boolean {
    return this.granted.length === 0 && this.waiting.length === 0;
  }

  /** Whether any claim in it blocks this one. Most often the first that is asked does. */
  blocks(claim: Claim): boolean {
    for (const other of this.granted) if (blocks(other, claim)) return true;
    for (const other of this.waiting) {
      if (other.arrival >= claim.arrival) return false;
      if (blocks(other, claim)) return true;
    }
    return false;
  }
}

function remove(claims: Claim[], claim: Claim): void {
  // Whoever leaves is most often the first.
  if (claims[0] === claim) claims.shift();
  else claims.splice(claims.indexOf(claim), 1);
}

function blocks(other: Claim, claim: Claim): boolean {
  if (other.owner === claim.owner || !conflict(other, claim) || !overlap(other.target, claim.target)) return false;
  return other.granted || (other.arrival < claim.arrival && !isHeldUpBy(other, claim.owner));
}

function isHeldUpBy(waiting: Claim, holder: LockOwner): boolean {
  for (const held of holder.claims)
    if (held.granted && overlap(held.target, waiting.target) && conflict(held, waiting)) return true;
  return false;
}

function conflict(a: Claim, b: Claim): boolean {
  return a.mode === 'exclusive' || b.mode === 'exclusive';
}

function overlap(a: EncodedRange, b: EncodedRange): boolean {
  return (a.end === undefined || b.start < a.end) && (b.end === undefined || a.start < b.end);
}

function covers(outer: EncodedRange, inner: EncodedRange): boolean {
  return outer.start <= inner.start && (outer.end === undefined || (inner.end !== undefined && inner.end <= outer.end));
}

function describeTarget(target: LockTarget): string {
  if (target.key !== undefined) return `key ${describe(decodeKey(target.key))}`;
  const start = target.start === '' ? 'the first key' : describe(decodeKey(target.start));
  return `the keys from ${start} to ${describeEnd(target.end)}`;
}

function describeEnd(end: EncodedKey | undefined): string {
  if (end === undefined) return 'the last';
  // The end of a prefix is no key.
  return end.endsWith('\xff') ? `the last of ${describe(decodeKey(end.slice(0, -1)))}` : describe(decodeKey(end));
}
