import { unreachable } from '../kv/assert.ts';
import { LockTimeoutError } from '../kv/errors.ts';
import type { Transaction } from '../kv/store.ts';
import { storeValue } from '../kv/value.ts';
import type { World } from '../kv/world.ts';
import {
  claim,
  complete,
  type ClaimAnswer,
  type ClaimOptions,
  type Identity,
  type RecalledAnswer,
} from '../layers/idempotency/idempotency.ts';
import { marked } from './execution-threw.ts';
import type { Execution, Settled } from './outcome.ts';

export interface AttemptSettings extends ClaimOptions {
  readonly world: World;
}

/**
 * The body of an operation's transaction: claim, execute, complete. It returns what the commit makes true.
 *
 * @throws Discarded, to leave without a commit; InProgressElsewhere; ExecutionThrew
 */
export async function attempt<Tx extends Transaction>(
  tx: Tx,
  identity: Identity,
  execute: (tx: Tx) => Promise<Execution>,
  { world, ...options }: AttemptSettings,
): Promise<Settled> {
  const answer = await claimOrGiveUp(tx, identity, options);
  if (answer.state !== 'absent') return settledFrom(answer);
  // The claim's reads fixed `tx.now`; from here the other clock counts, which never goes back.
  const startedMs = world.monotonicMs();
  const { keep, result } = await executeInScope(tx, execute);
  // A commit may wait long behind others' locks, and expiry counts from it: so the waiting comes first, the clock is read after it.
  await tx.prepare();
  const elapsedMs = world.monotonicMs() - startedMs;
  const { completedAt, expiresAt, ...kept } = complete(tx, answer.claim, { result, elapsedMs });
  return { outcome: 'executed', keep, result: kept.result, completedAt, expiresAt };
}

export function settledFrom(answer: RecalledAnswer): Settled {
  switch (answer.state) {
    case 'complete': {
      const { result, completedAt, expiresAt } = answer;
      return { outcome: 'replayed', result, completedAt, expiresAt };
    }
    case 'mismatch':
      return { outcome: 'mismatch' };
    case 'expired':
      return { outcome: 'expired', expiredAt: answer.expiredAt };
    case 'cancelled':
      return { outcome: 'refused', reason: 'cancelled' };
    default:
      return unreachable(answer);
  }
}

/** Unwinds a scope whose writes are not wanted, and carries out what was made in it. */
export class Discarded extends Error {
  readonly execution: Execution;

  constructor(execution: Execution) {
    super('the writes of this execution are not kept');
    this.execution = execution;
  }
}

/** Another runner holds the record's key for longer than this one may wait. It ends the attempt, for some engines have no other way on. */
export class InProgressElsewhere extends Error {}

async function claimOrGiveUp(tx: Transaction, identity: Identity, options: ClaimOptions): Promise<ClaimAnswer> {
  try {
    return await claim(tx, identity, options);
  } catch (error) {
    throw error instanceof LockTimeoutError
      ? new InProgressElsewhere('in progress elsewhere', { cause: error })
      : error;
  }
}

/**
 * Only the execution's end tells what shall be kept, so it always runs in a scope of its own. Unwinding the scope
 * discards its writes; what it read stays read, and the commit validates it.
 */
async function executeInScope<Tx extends Transaction>(
  tx: Tx,
  execute: (tx: Tx) => Promise<Execution>,
): Promise<Execution> {
  try {
    return await tx.nest(async (scope) => {
      const execution = await marked(() => execute(scope));
      if (execution.keep === 'nothing') throw new Discarded(execution);
      // Checked here, so that a result that cannot be kept fails like everything else that the execution does wrong.
      const result = storeValue(execution.result, 'result').value;
      const kept = { keep: execution.keep, result };
      if (kept.keep === 'record') throw new Discarded(kept);
      return kept;
    });
  } catch (error) {
    if (error instanceof Discarded && error.execution.keep === 'record') return error.execution;
    throw error;
  }
}
