import { NotSentError, OperationUnknownError, type StoppedBy } from './client-error.ts';
import { pause, within, type Environment } from './environment.ts';
import { readAhead, readRequestBody } from './read-body.ts';
import type { RetryBudget } from './retry-budget.ts';
import { isProblem, type Report, type Verdict } from './verdict.ts';

/**
 * One request, from its body to the answer that its caller gets.
 *
 *   reading    The body is read whole. A fault here is thrown as it is: nothing was sent.
 *   labelling  The key is found, which may take a database. A fault here, too, is thrown as it is.
 *   attempting The request is on its way, for `attemptTimeoutMs` at most. It ends with a verdict.
 *   pausing    Its verdict was `again`, and attempts, deadline and budget allow another one. Then attempting again.
 *   ended      With the last answer, or with what is known of the operation where that answer does not tell.
 *
 * Once an attempt may have taken effect, only an answer that settles the operation closes that question: a later refusal speaks
 * of its own attempt alone. The caller's signal ends each state at once, with its reason, as it ends fetch.
 */
export async function deliver(sender: Sender, parcel: Parcel): Promise<Response> {
  const { environment } = sender;
  sender.budget.addCall();
  const endMs = environment.monotonicMs() + sender.deadlineMs;
  const body = await prepare(sender, parcel, endMs, (signal) =>
    readRequestBody(parcel.request, sender.bodyBytesMax, signal),
  );
  const label = await prepare(sender, parcel, endMs, (signal) =>
    parcel.label(copyOf(parcel.request, { headers: parcel.request.headers, body, signal })),
  );
  let open = false;
  for (let attempts = 1; ; attempts++) {
    const report = await attempt(sender, parcel, { body, headers: label.headers }, endMs);
    const verdict = parcel.judge(parcel.request, report, environment.now());
    open = verdict.effect === 'unknown' || (open && verdict.effect !== 'settled');
    const next = verdict.again ? nextStep(sender, attempts, verdict, endMs) : { stoppedBy: 'answer' as const };
    if ('stoppedBy' in next) return end(label, report, { open, attempts, stoppedBy: next.stoppedBy });
    discard(report.response);
    await pause(environment, next.pauseMs, parcel.request.signal);
  }
}

export interface Sender {
  readonly fetch: (request: Request) => Promise<Response>;
  readonly environment: Environment;
  readonly budget: RetryBudget;
  readonly attemptsMax: number;
  readonly attemptTimeoutMs: number;
  readonly deadlineMs: number;
  readonly pauseMs: number;
  readonly pauseMsMax: number;
  readonly bodyBytesMax: number;
}

export interface Parcel {
  /** As the caller gave it, its body unread. */
  readonly request: Request;
  /** Asked once, with a copy whose body may be read. */
  readonly label: (copy: Request) => Label | Promise<Label>;
  /** How much of an answer's body is read before the answer counts. */
  readonly responseBytesMax: number;
  readonly judge: (request: Request, report: Report, nowMs: number) => Verdict;
}

export interface Label {
  /** All fields of each attempt. */
  readonly headers: Headers;
  /** `undefined` of a request that can do no harm, of which nobody needs to know whether it took effect. */
  readonly key: string | undefined;
}

/** What comes before the first attempt, by the deadline. */
async function prepare<Result>(
  { environment }: Sender,
  { request }: Parcel,
  endMs: number,
  work: (signal: AbortSignal) => Result | Promise<Result>,
): Promise<Result> {
  try {
    return await within(environment, endMs - environment.monotonicMs(), request.signal, work);
  } catch (error) {
    request.signal.throwIfAborted();
    if (error instanceof DOMException && error.name === 'TimeoutError') {
      throw new NotSentError({ attempts: 0, stoppedBy: 'deadline' }, { cause: error });
    }
    throw error;
  }
}

/** @throws the reason of the caller's signal, and nothing else */
async function attempt(
  sender: Sender,
  { request, responseBytesMax }: Parcel,
  content: Content,
  endMs: number,
): Promise<Report> {
  const { environment, fetch, attemptTimeoutMs } = sender;
  const timeoutMs = Math.min(attemptTimeoutMs, endMs - environment.monotonicMs());
  try {
    return await within(environment, timeoutMs, request.signal, async (signal) => {
      const response = await fetch(copyOf(request, { ...content, signal }));
      try {
        // What sends may not heed the signal, and answer when nobody waits for it any more.
        signal.throwIfAborted();
        return { response, bytes: await readAhead(response, aheadBytes(response, responseBytesMax), signal) };
      } catch (error) {
        discard(response);
        throw error;
      }
    });
  } catch (error) {
    request.signal.throwIfAborted();
    return { response: undefined, error };
  }
}

interface Content {
  readonly headers: Headers;
  readonly body: Blob | undefined;
}

/** A Request made of a Request keeps all of it but its referrer, which the Fetch standard resets as soon as there is an `init`. */
function copyOf(request: Request, { body, ...rest }: Content & { readonly signal: AbortSignal }): Request {
  const { referrer, referrerPolicy } = request;
  return new Request(request, { ...rest, referrer, referrerPolicy, ...(body === undefined ? {} : { body }) });
}

/** Problems decide what comes next, so they are read in any case, up to here; the largest has some hundred bytes. */
const problemBytesMax = 65_536;

function aheadBytes(response: Response, bytesMax: number): number {
  if (isProblem(response)) return Math.max(bytesMax, problemBytesMax);
  // Who asked for events wants each when it comes.
  return /^text\/event-stream\b/i.test(response.headers.get('content-type') ?? '') ? 0 : bytesMax;
}

type Next = { readonly pauseMs: number } | { readonly stoppedBy: StoppedBy };

function nextStep(sender: Sender, attempts: number, verdict: Verdict, endMs: number): Next {
  const { environment, budget } = sender;
  if (attempts >= sender.attemptsMax) return { stoppedBy: 'attempts' };
  const pauseMs = pauseBefore(sender, attempts, verdict.retryAfterMs ?? 0);
  // A pause that outlives the deadline would only keep the caller waiting for nothing.
  if (environment.monotonicMs() + pauseMs >= endMs) return { stoppedBy: 'deadline' };
  return budget.takeRetry() ? { pauseMs } : { stoppedBy: 'budget' };
}

/**
 * Full jitter: anything from nothing to a ceiling that doubles ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015, where
 * it takes the least work of the ways that are compared). What the server asks for comes before it, so that those whom it sent away
 * together do not come back together.
 */
function pauseBefore({ environment, pauseMs, pauseMsMax }: Sender, attempts: number, retryAfterMs: number): number {
  return retryAfterMs + environment.random() * Math.min(pauseMsMax, pauseMs * 2 ** (attempts - 1));
}

interface Ending {
  /** Whether an attempt may have taken effect, and nothing has told since. */
  readonly open: boolean;
  readonly attempts: number;
  readonly stoppedBy: StoppedBy;
}

function end({ key }: Label, report: Report, { open, attempts, stoppedBy }: Ending): Response {
  const { response } = report;
  if (open && key !== undefined) {
    const options = response === undefined ? { cause: report.error } : {};
    throw new OperationUnknownError({ key, attempts, stoppedBy, response }, options);
  }
  if (response !== undefined) return response;
  // Of a request that can do no harm fetch's own error tells enough.
  throw key === undefined ? report.error : new NotSentError({ attempts, stoppedBy }, { cause: report.error });
}

/** Frees the connection of an answer that nobody will read. */
function discard(response: Response | undefined): void {
  response?.body?.cancel().catch(() => undefined);
}
