import { assert, unreachable } from '../kv/assert.ts';
import type { Transaction } from '../kv/store.ts';
import type { Value } from '../kv/value.ts';
import type { Execution, Identity, Outcome, RefusalReason } from '../operations/operations.ts';
import { withHeaders, type Answer, type HeaderPair } from './answer.ts';
import { makeAnswer, readPassing, type Call } from './call.ts';
import type { Core } from './core.ts';
import { cookies, sendable } from './kept-headers.ts';
import { decodeKept, encodeKept } from './kept.ts';
import type { Reading } from './read-stream.ts';
import { ReaderInterest } from './reader-interest.ts';
import type { Route } from './route.ts';
import { refusedBy, settledBy, type Settled } from './settled.ts';

type Of<Name extends Outcome['outcome']> = Extract<Outcome, { readonly outcome: Name }>;

/**
 * Runs the operation, or finds what became of it. What is kept is made from the handler's own return, inside the transaction, and by
 * nothing else; every answer is made from what was kept, after the commit. So no refusal and no replay has a way to write.
 */
export async function runClaimed<Tx extends Transaction, Context>(
  core: Core<Tx, Context>,
  route: Route<Tx, Context>,
  call: Call<Context>,
  identity: Identity,
): Promise<Settled> {
  // The last attempt's. When the outcome is `executed`, it is the one that committed.
  let made: Answer | undefined;
  const interest = new ReaderInterest();
  const reading: Reading = { world: core.world, interest };
  const execute = async (tx: Tx): Promise<Execution> => {
    const { answer, keep } = await makeAnswer(route, call, tx, reading);
    made = answer;
    return { keep, result: keep === 'nothing' ? null : await encodeKept(route, answer, keep) };
  };
  const outcome = await core.operations.run(identity, execute, route.runOptions).finally(() => interest.end());
  switch (outcome.outcome) {
    case 'executed':
      return executed(outcome, made);
    case 'replayed':
      return replayed(core, route, call, outcome);
    case 'in-progress':
      return inProgress(route, call, identity.key, outcome);
    case 'mismatch':
      return mismatch(core.profile);
    case 'expired':
      return settledBy('expired', 'expired', executedOnce);
    case 'refused':
      return refused(outcome.reason);
    default:
      return unreachable(outcome);
  }
}

function executed(outcome: Of<'executed'>, made: Answer | undefined): Settled {
  assert(made !== undefined, 'who executed has made an answer');
  if (outcome.expiresAt === undefined) return { answer: sendable(made), outcome: 'refused' };
  const kept = decodeKept(outcome.result);
  // From what was kept, as every replay will be, so that they are equal.
  const answer = kept.store === 'response' ? withHeaders(kept.answer, cookies(made)) : sendable(made);
  return { answer: withHeaders(answer, [expires(outcome.expiresAt)]), outcome: 'executed' };
}

async function replayed<Tx extends Transaction, Context>(
  core: Core<Tx, Context>,
  route: Route<Tx, Context>,
  { context }: Call<Context>,
  outcome: Of<'replayed'>,
): Promise<Settled> {
  const kept = decodeKept(outcome.result);
  const answer = kept.store === 'response' ? kept.answer : await fromReference(core, route, context, kept.reference);
  if (answer === undefined) return settledBy('expired', 'result-gone', executedOnce);
  const marks: readonly HeaderPair[] = [['idempotent-replayed', 'true'], expires(outcome.expiresAt)];
  return { answer: withHeaders(answer, marks), outcome: 'replayed' };
}

/** `undefined` also where the route no longer knows references: then, too, there is nothing that could be sent. */
async function fromReference<Tx extends Transaction, Context>(
  { store, world }: Core<Tx, Context>,
  { reference: storage }: Route<Tx, Context>,
  context: Context,
  reference: Value,
): Promise<Answer | undefined> {
  if (storage === undefined) return undefined;
  return store.read(async (tx) => {
    const response = await storage.replay(tx, reference, context);
    return response === undefined ? undefined : sendable(await readPassing(response, 'replay', { world }));
  });
}

const executedOnce = 'The operation took effect once and is not executed again. Ask for what it changed instead.';

function inProgress<Tx extends Transaction, Context>(
  route: Route<Tx, Context>,
  { context }: Call<Context>,
  key: string,
  { retryAfterMs }: Of<'in-progress'>,
): Settled {
  const headers = [retryAfter(retryAfterMs)];
  if (route.operationUrl === undefined) {
    const detail = 'Send the same request again, with the same key, for its result.';
    return settledBy('in-progress', 'in-progress', detail, { headers });
  }
  const url = route.operationUrl(key, context);
  const body = new TextEncoder().encode(JSON.stringify({ operation: url }));
  const found: readonly HeaderPair[] = [['content-type', 'application/json'], ['location', url], ...headers];
  return { answer: { status: 202, headers: found, body }, outcome: 'in-progress' };
}

function mismatch(profile: 'semel' | 'ietf'): Settled {
  const detail =
    'Nothing was executed. Send each request under a key of its own, and only its retries under the same one.';
  // draft-ietf-httpapi-idempotency-key-header-07, section 2.7, asks for 422, which also means a failed validation. 409 does not.
  return settledBy('mismatch', 'key-reused', detail, profile === 'ietf' ? { status: 422 } : {});
}

function refused(reason: RefusalReason): Settled {
  switch (reason) {
    case 'cancelled':
      return refusedBy(
        'cancelled',
        'Nothing was executed, and under this key nothing will be. To go on, send it under another key.',
      );
    case 'deadline':
      return refusedBy(
        'deadline-exceeded',
        'Nothing of this request took effect; it may be sent again under the same key.',
        soon,
      );
    case 'commit-unknown':
      return refusedBy(
        'commit-unknown',
        'It may have taken effect. Sent again under the same key, it takes effect once in either case.',
        soon,
      );
    case 'too-many-waiters':
      return refusedBy(
        'overloaded',
        'The operation goes on. Send the request again, under the same key, for its result.',
        soon,
      );
    default:
      return unreachable(reason);
  }
}

/** What failed a moment ago may do so again at once; a second is enough for a lock to be free or a process to be restarted. */
const soon = Object.freeze({ headers: [retryAfter(1_000)] });

function retryAfter(delayMs: number): HeaderPair {
  return ['retry-after', String(Math.max(1, Math.ceil(delayMs / 1_000)))];
}

/**
 * An HTTP-date (RFC 9110, section 5.6.7), which every client can read; the draft names no format. Whole seconds, rounded down: it
 * must not promise a moment too much.
 */
function expires(at: number): HeaderPair {
  return ['idempotency-expires', new Date(Math.floor(at / 1_000) * 1_000).toUTCString()];
}
