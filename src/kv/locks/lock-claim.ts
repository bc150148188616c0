import type { DeadlockError } from '../errors.ts';
import type { EncodedKey } from '../tuple.ts';
import { covers, type LockMode, type LockTarget, overlap } from './lock-target.ts';

/** One owner's wish for one target: waiting or granted. */
export class Claim {
  readonly owner: LockOwner;
  readonly target: LockTarget;
  readonly mode: LockMode;
  readonly arrival: number;
  granted = false;
  /** Whom to tell, while it waits. */
  wait: Wait | undefined;

  constructor(owner: LockOwner, target: LockTarget, mode: LockMode, arrival: number) {
    this.owner = owner;
    this.target = target;
    this.mode = mode;
    this.arrival = arrival;
  }
}

/** What one call waits for: all of its claims, or the first fault. */
export interface Wait {
  readonly claims: ReadonlySet<Claim>;
  readonly granted: (claim: Claim) => void;
  readonly fail: (fault: Error) => void;
}

/** Whoever can hold locks: one attempt of a transaction. */
export class LockOwner {
  readonly label: string;
  /** The number of the first attempt; smaller is older. */
  readonly age: number;
  readonly onDeadlock: (fault: DeadlockError) => void;
  readonly claims = new Set<Claim>();
  /** Calls of it that wait. */
  waits = 0;
  /** What it holds, by its strongest mode. Locks are held until the owner ends, but for a key that is given back. */
  readonly #keysHeld = new Map<EncodedKey, LockMode>();
  readonly #rangesHeld: Claim[] = [];

  constructor(label: string, age: number, onDeadlock: (fault: DeadlockError) => void) {
    this.label = label;
    this.age = age;
    this.onDeadlock = onDeadlock;
  }

  grant(claim: Claim): void {
    claim.granted = true;
    const { target, mode } = claim;
    if (target.key === undefined) this.#rangesHeld.push(claim);
    else if (this.#keysHeld.get(target.key) !== 'exclusive') this.#keysHeld.set(target.key, mode);
  }

  forget(key: EncodedKey): void {
    this.#keysHeld.delete(key);
  }

  holdsKey(key: EncodedKey): boolean {
    return this.#keysHeld.get(key) === 'exclusive';
  }

  holds(target: LockTarget, mode: LockMode): boolean {
    const held = target.key === undefined ? undefined : this.#keysHeld.get(target.key);
    if (held !== undefined && suffices(held, mode)) return true;
    return this.#rangesHeld.some((claim) => suffices(claim.mode, mode) && covers(claim.target, target));
  }

  /** Whether a waiting claim of another waits for what this owner holds. */
  holdsUp(waiting: Claim): boolean {
    const { target, mode } = waiting;
    if (target.key === undefined) {
      for (const claim of this.claims) {
        if (claim.granted && overlap(claim.target, target) && conflict(claim.mode, mode)) return true;
      }
      return false;
    }
    const held = this.#keysHeld.get(target.key);
    if (held !== undefined && conflict(held, mode)) return true;
    return this.#rangesHeld.some((claim) => overlap(claim.target, target) && conflict(claim.mode, mode));
  }
}

/** The claims on one key, or those on ranges; both lists in order of arrival. */
export class ClaimQueue {
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

  remove(claim: Claim): void {
    const claims = claim.granted ? this.granted : this.waiting;
    // Whoever leaves is most often the first.
    if (claims[0] === claim) claims.shift();
    else claims.splice(claims.indexOf(claim), 1);
  }

  /** A claim that waits here, or one that never had to. */
  grant(claim: Claim): void {
    if (claim.wait !== undefined) this.remove(claim);
    this.granted.push(claim);
    claim.owner.grant(claim);
    claim.wait?.granted(claim);
  }
}

export function blocks(other: Claim, claim: Claim): boolean {
  if (other.owner === claim.owner || !conflict(other.mode, claim.mode) || !overlap(other.target, claim.target)) {
    return false;
  }
  return other.granted || (other.arrival < claim.arrival && !claim.owner.holdsUp(other));
}

function conflict(a: LockMode, b: LockMode): boolean {
  return a === 'exclusive' || b === 'exclusive';
}

function suffices(held: LockMode, asked: LockMode): boolean {
  return held === 'exclusive' || asked === 'shared';
}
