import { blocks, type Claim, type ClaimQueue, type LockOwner } from './lock-claim.ts';
import type { LockTarget } from './lock-target.ts';

/**
 * Looks for cycles in the wait-for graph, whose nodes are owners and whose edges lead from a waiting claim to the owner of
 * each claim that blocks it.
 *
 * On a hot key every waiter is blocked by all that came before it, so the graph has as many edges as pairs of waiters.
 * They need not be walked: what blocks a claim in a queue blocks every later exclusive claim there too. So of each queue
 * each claim is looked at once, and a search costs no more than there are claims.
 */
export class DeadlockSearch {
  readonly #queuesAt: (target: LockTarget) => Iterable<ClaimQueue>;

  constructor(queuesAt: (target: LockTarget) => Iterable<ClaimQueue>) {
    this.#queuesAt = queuesAt;
  }

  /** Whether anybody may be waiting for an owner: if not, there is no way back to it. */
  isAwaited(owner: LockOwner): boolean {
    for (const claim of owner.claims) {
      for (const { waiting } of this.#queuesAt(claim.target)) {
        for (let index = waiting.length - 1; index >= 0; index--) {
          const other = waiting[index];
          if (other === undefined || (!claim.granted && other.arrival <= claim.arrival)) break;
          if (other.owner !== owner) return true;
        }
      }
    }
    return false;
  }

  /** The waiting claims on a way from one of `claims`, over whoever blocks it, back to the owner. */
  findCycle(owner: LockOwner, claims: Iterable<Claim>): readonly Claim[] | undefined {
    const reachedFrom = new Map<Claim, Claim | undefined>();
    const owners = new Set<LockOwner>();
    const walked = new Map<ClaimQueue, number>();
    const open: Claim[] = [];
    for (const claim of claims) {
      reachedFrom.set(claim, undefined);
      open.push(claim);
    }
    for (let claim = open.pop(); claim !== undefined; claim = open.pop()) {
      for (const other of this.#blockersOf(claim, walked)) {
        if (other.owner === owner) return wayTo(claim, reachedFrom);
        if (owners.has(other.owner)) continue;
        owners.add(other.owner);
        if (other.owner.waits === 0) continue;
        for (const next of other.owner.claims) {
          if (next.granted || reachedFrom.has(next)) continue;
          reachedFrom.set(next, claim);
          open.push(next);
        }
      }
    }
    return undefined;
  }

  /** Those that were not walked over yet. */
  *#blockersOf(claim: Claim, walked: Map<ClaimQueue, number>): Generator<Claim> {
    for (const queue of this.#queuesAt(claim.target)) {
      const from = walked.get(queue) ?? 0;
      // A reader is blocked by writers only, a holder passes those that it keeps waiting, be it by a range, and ranges in one
      // queue need not overlap.
      let blockedByAll = claim.mode === 'exclusive' && claim.target.key !== undefined;
      for (const other of from === 0 ? queue.granted : []) {
        if (blocks(other, claim)) yield other;
        else blockedByAll = false;
      }
      let index = from;
      for (; index < queue.waiting.length; index++) {
        const other = queue.waiting[index];
        if (other === undefined || other.arrival >= claim.arrival) break;
        if (blocks(other, claim)) yield other;
        else blockedByAll = false;
      }
      const isOfKey = (queue.granted[0] ?? queue.waiting[0])?.target.key !== undefined;
      if (blockedByAll && isOfKey) walked.set(queue, Math.max(index, 1));
    }
  }
}

function wayTo(claim: Claim, reachedFrom: ReadonlyMap<Claim, Claim | undefined>): readonly Claim[] {
  const way: Claim[] = [];
  for (let at: Claim | undefined = claim; at !== undefined; at = reachedFrom.get(at)) way.push(at);
  return way.reverse();
}
