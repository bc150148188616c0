import { CommitUnknownError, DeadlineExceededError } from '../kv/errors.ts';
import type { Transaction } from '../kv/store.ts';
import { ExecutionThrew, marked } from '../operations/execution-threw.ts';
import type { Answer } from './answer.ts';
import { makeAnswer, type Call, type Made } from './call.ts';
import type { Core } from './core.ts';
import { sendable } from './kept-headers.ts';
import { problem } from './problem.ts';
import type { Reading } from './read-stream.ts';
import { ReaderInterest } from './reader-interest.ts';
import type { Route } from './route.ts';

/**
 * Runs the handler in a transaction of its own, with no record: for requests that bear no key. As with one, the answer decides
 * whether the writes are kept, and leaves after the commit.
 */
export async function runUnclaimed<Tx extends Transaction, Context>(
  { store, world }: Core<Tx, Context>,
  route: Route<Tx, Context>,
  call: Call<Context>,
): Promise<Answer> {
  const interest = new ReaderInterest();
  const reading: Reading = { world, interest };
  try {
    return await store.transact(async (tx) => sendable(await inScope(route, call, tx, reading)), {
      timeoutMs: route.deadlineMs,
    });
  } catch (error) {
    if (error instanceof ExecutionThrew) throw error.thrown;
    if (error instanceof DeadlineExceededError) return deadlineExceeded();
    if (error instanceof CommitUnknownError) return commitUnknown();
    throw error;
  } finally {
    interest.end();
  }
}

/** Only the answer tells whether the writes are kept, so they are made in a scope that can be discarded. */
async function inScope<Tx extends Transaction, Context>(
  route: Route<Tx, Context>,
  call: Call<Context>,
  tx: Tx,
  reading: Reading,
): Promise<Answer> {
  let made: Made | undefined;
  const discard = new Error('what the handler wrote is discarded');
  try {
    return await tx.nest(async (inner) => {
      made = await marked(() => makeAnswer(route, call, inner, reading));
      if (made.keep !== 'all') throw discard;
      return made.answer;
    });
  } catch (error) {
    if (error === discard && made !== undefined) return made.answer;
    throw error;
  }
}

function deadlineExceeded(): Answer {
  return problem('deadline-exceeded', 'Nothing of this request took effect; it may be sent again.', {
    headers: [['retry-after', '1']],
  });
}

/** Without a key nobody can ask, and so a retry is for the client alone to judge: no Retry-After. */
function commitUnknown(): Answer {
  return problem(
    'commit-unknown',
    'It may have taken effect. The request bore no Idempotency-Key, so a retry might be a second time.',
  );
}
