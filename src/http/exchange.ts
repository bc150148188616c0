import type { Transaction } from '../kv/store.ts';
import { tell } from '../kv/tell.ts';
import { fingerprint, parseIdempotencyKey, type Fingerprint } from '../layers/idempotency/idempotency.ts';
import { withHeaders, type Answer } from './answer.ts';
import { readPassing, requestOf, ResponseTooLarge, type Call } from './call.ts';
import { runClaimed } from './claimed.ts';
import type { Core } from './core.ts';
import { selectQuery, type Incoming } from './incoming.ts';
import { sendable } from './kept-headers.ts';
import type { Route } from './route.ts';
import { refusedBy, type Settled } from './settled.ts';
import { runUnclaimed } from './unclaimed.ts';

/**
 * From a request to its answer. The steps, and who can end the exchange there:
 *
 * 1. The key is read: missing or invalid, 400. GET, HEAD and OPTIONS have none, whatever they send.
 * 2. The body is read, once, up to its bound: larger, 413.
 * 3. The guard may refuse.
 * 4. Without a key the handler runs in a transaction without a claim, and that was all.
 * 5. The scope is asked for.
 * 6. The operation runs, or what became of it is found; a scope that is empty is a fault of the server's, before anything runs.
 *
 * No step before the sixth writes, so whatever ends there leaves the key unused.
 */
export async function exchange<Tx extends Transaction, Context>(
  core: Core<Tx, Context>,
  route: Route<Tx, Context>,
  incoming: Incoming,
  context: Context,
): Promise<Answer> {
  try {
    return announced(core, await settle(core, route, incoming, context));
  } catch (error) {
    if (bearsKey(incoming)) tell(core.onEvent, { outcome: 'refused', status: undefined, problem: undefined });
    throw error;
  }
}

/** Whether an answer to it says what became of it. A fault, which passes through here, is for the shell to mark so. */
export function bearsKey(incoming: Pick<Incoming, 'method' | 'header'>): boolean {
  return keyField(incoming) !== undefined;
}

/** For a shell whose server reads the body before the exchange begins. */
export function refuseBody<Tx extends Transaction, Context>(
  core: Core<Tx, Context>,
  route: Route<Tx, Context>,
): Answer {
  return announced(core, bodyTooLarge(route.bodyBytesMax));
}

function announced({ onEvent }: Observed, { answer, outcome, problem }: Settled): Answer {
  if (outcome === undefined) return answer;
  tell(onEvent, { outcome, status: answer.status, problem });
  return withHeaders(answer, [['idempotency-outcome', outcome]]);
}

type Observed = Pick<Core<never, never>, 'onEvent'>;

async function settle<Tx extends Transaction, Context>(
  core: Core<Tx, Context>,
  route: Route<Tx, Context>,
  incoming: Incoming,
  context: Context,
): Promise<Settled> {
  const parsed = parseIdempotencyKey(keyField(incoming));
  if (parsed.outcome === 'invalid') return refusedBy('key-invalid', `Nothing was executed: ${parsed.reason}.`);
  if (parsed.outcome === 'absent' && needsKey(route, incoming.method)) {
    return refusedBy(
      'key-missing',
      'Send a key of your own making, and the same one with every retry of this request.',
    );
  }
  const read = await incoming.readBody(route.bodyBytesMax);
  if (read.outcome === 'too-large') return bodyTooLarge(route.bodyBytesMax);
  const call: Call<Context> = { incoming, body: read.bytes, context };
  const key = parsed.outcome === 'key' ? parsed.key : undefined;
  try {
    const refusal = await route.guard?.(requestOf(call), context);
    if (refusal !== undefined) {
      return markedIf(key !== undefined, {
        answer: sendable(await readPassing(refusal, 'guard', { world: core.world })),
        outcome: 'refused',
      });
    }
    if (key === undefined) return { answer: await runUnclaimed(core, route, call) };
    const scope = await core.scope(call);
    return await runClaimed(core, route, call, { scope, key, fingerprint: fingerprintOf(route, call) });
  } catch (error) {
    if (error instanceof ResponseTooLarge) return markedIf(key !== undefined, responseTooLarge(error));
    throw error;
  }
}

const methodsWithoutKey: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);
/** RFC 9110, section 9.2.2: sent twice, they mean what they mean sent once. */
const idempotentMethods: ReadonlySet<string> = new Set(['PUT', 'DELETE']);

function keyField(incoming: Pick<Incoming, 'method' | 'header'>): string | undefined {
  return methodsWithoutKey.has(incoming.method) ? undefined : incoming.header('idempotency-key');
}

function needsKey<Tx extends Transaction, Context>(route: Route<Tx, Context>, method: string): boolean {
  return route.key === 'required' && !methodsWithoutKey.has(method) && !idempotentMethods.has(method);
}

function fingerprintOf<Tx extends Transaction, Context>(
  route: Route<Tx, Context>,
  { incoming, body }: Call<Context>,
): Fingerprint {
  const { method, path } = incoming;
  const query = selectQuery(incoming.query, route.query);
  const headers = route.fingerprintHeaders.flatMap((name): (readonly [string, string])[] => {
    const value = incoming.header(name);
    return value === undefined ? [] : [[name, value]];
  });
  return fingerprint({ method, path, query, headers, mediaType: incoming.header('content-type'), body });
}

function bodyTooLarge(bodyBytesMax: number): Settled {
  const detail = `Nothing was executed: a request body may have ${bodyBytesMax} bytes here.`;
  return refusedBy('body-too-large', detail, { facts: { bodyBytesMax } });
}

function responseTooLarge({ limit, maximum }: ResponseTooLarge): Settled {
  const remedy =
    limit === 'responseBytesMax'
      ? "To the server's author: raise responseBytesMax, or keep a reference instead (store: 'reference')."
      : "To the server's author: answer with a link to it.";
  // Neutral words, for it may be the response of a replay.
  const detail = `This request took no effect, for the response has more than ${limit}, ${maximum} bytes. ${remedy}`;
  return refusedBy('response-too-large', detail, { facts: { limit, maximum } });
}

/** Without a key there is no operation of which there could be an outcome. */
function markedIf(bearsKey: boolean, settled: Settled): Settled {
  return bearsKey ? settled : { answer: settled.answer };
}
