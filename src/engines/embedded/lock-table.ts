import { assert } from '../../kv/assert.ts';
import { requireTimeout } from '../../kv/bound.ts';
import { AbortedError, DeadlockError, describe, LimitExceededError, LockTimeoutError } from '../../kv/errors.ts';
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
  /** Claims on single keys, each set in order of arrival. */
  readonly #byKey = new Map<EncodedKey, Set<Claim>>();
  readonly #onRanges = new Set<Claim>();
  #waiting = 0;
  #arrivals = 0;

  constructor(world: World) {
    this.#world = world;
  }

  /** Whether a commit of these writes would have to wait. */
  blocksWrites(owner: LockOwner, keys: Iterable<EncodedKey>): boolean {
    if (this.#byKey.size === 0 && this.#onRanges.size === 0) return false;
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
      this.#enter(claim);
      claim.granted = true;
      return;
    }
    if (timeoutMs === 0) throw new LockTimeoutError(describeTarget(target), 0);
    if (this.#waiting >= limits.lockWaitersMax) {
      throw new LimitExceededError('lockWaitersMax', limits.lockWaitersMax, this.#waiting + 1);
    }
    await this.#wait(claim, timeoutMs, signal);
  }

  /** Ends all claims of an owner; those that wait reject with `cause`. */
  release(owner: LockOwner, cause?: Error): void {
    const claims = [...owner.claims];
    for (const claim of claims) this.#leave(claim);
    for (const claim of claims) claim.reject?.(cause ?? new AbortedError());
    this.#grantAfter(claims);
  }

  async #wait(claim: Claim, timeoutMs: number, signal: AbortSignal | undefined): Promise<void> {
    const mayDeadlock = claim.owner.claims.size > 0;
    this.#enter(claim);
    this.#waiting++;
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
      this.#waiting--;
      claim.resolve = undefined;
      claim.reject = undefined;
      cancelTimer();
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #enter(claim: Claim): void {
    claim.owner.claims.add(claim);
    this.#neighbours(claim).add(claim);
  }

  #leave(claim: Claim): void {
    claim.owner.claims.delete(claim);
    const neighbours = this.#neighbours(claim);
    neighbours.delete(claim);
    if (neighbours.size === 0 && claim.target.key !== undefined) this.#byKey.delete(claim.target.key);
  }

  #neighbours({ target }: Claim): Set<Claim> {
    if (target.key === undefined) return this.#onRanges;
    let claims = this.#byKey.get(target.key);
    if (claims === undefined) this.#byKey.set(target.key, (claims = new Set()));
    return claims;
  }

  #grantAfter(gone: readonly Claim[]): void {
    if (this.#waiting === 0) return;
    for (const claim of gone) {
      for (const other of this.#overlapping(claim.target)) {
        if (other.granted || other.resolve === undefined || this.#isBlocked(other)) continue;
        other.granted = true;
        other.resolve();
      }
    }
  }

  #isBlocked(claim: Claim): boolean {
    for (const other of this.#overlapping(claim.target)) if (blocks(other, claim)) return true;
    return false;
  }

  *#overlapping(target: LockTarget): Generator<Claim> {
    if (target.key !== undefined) {
      yield* this.#byKey.get(target.key) ?? [];
      for (const claim of this.#onRanges) if (rangeContains(claim.target, target.key)) yield claim;
      return;
    }
    for (const [key, claims] of this.#byKey) if (rangeContains(target, key)) yield* claims;
    for (const claim of this.#onRanges) if (overlap(claim.target, target)) yield claim;
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
    for (const other of this.#overlapping(claim.target)) {
      if (!blocks(other, claim)) continue;
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

function blocks(other: Claim, claim: Claim): boolean {
  if (other.owner === claim.owner || !conflict(other, claim)) return false;
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
