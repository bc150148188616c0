import { retryAfterMs } from './retry-after.ts';

/** What an attempt came to: an answer, of which `bytes` is the body where it was read, or a failure of the connection. */
export type Report =
  | { readonly response: Response; readonly bytes: Uint8Array | undefined }
  | { readonly response: undefined; readonly bytes?: undefined; readonly error: unknown };

export interface Verdict {
  /** Whether to send the same request again. */
  readonly again: boolean;
  /**
   * What the attempt tells of the operation. `settled`: what became of it, whichever attempt did it. `did-not-happen`:
   * that this attempt did nothing; of the earlier ones it tells nothing. `unknown`: this attempt may have taken effect.
   */
  readonly effect: 'settled' | 'did-not-happen' | 'unknown';
  /** What the server asks for. */
  readonly retryAfterMs?: number | undefined;
}

/** Of a request that bears a key. docs/client.md has this as a table. */
export function judgeKeyed(request: Request, report: Report, nowMs: number): Verdict {
  const verdict = judgeAttempt(request, report, nowMs);
  // A 303 comes after the effect, and what is refused behind it is another request than the one that had it.
  const elsewhere = report.response?.redirected === true && verdict.effect === 'did-not-happen';
  return elsewhere ? { ...verdict, effect: 'unknown' } : verdict;
}

function judgeAttempt({ redirect }: Request, report: Report, nowMs: number): Verdict {
  if (report.response === undefined) {
    // As above: only where no redirect is followed a refused connection says that much.
    const sent = redirect === 'follow' || !neverConnected(report.error);
    return { again: true, effect: sent ? 'unknown' : 'did-not-happen' };
  }
  const { response } = report;
  const { status, headers } = response;
  const outcome = headers.get('idempotency-outcome');
  if (headers.get('idempotent-replayed') === 'true' || status < 400 || resolved.has(outcome ?? '')) return settled;
  const retryAfter = retryAfterMs(headers, nowMs);
  const problem = problemOf(report);
  if (status >= 500) {
    // The server itself says of `refused` that nothing took effect, but for one problem. A proxy's 503 does not know.
    const unread = isProblem(response) && report.bytes === undefined;
    const refused = outcome === 'refused' && problem !== 'commit-unknown' && !unread;
    return { again: true, effect: refused ? 'did-not-happen' : 'unknown', retryAfterMs: retryAfter };
  }
  if (status === 425 || status === 429) return { again: true, effect: 'did-not-happen', retryAfterMs: retryAfter };
  // A 409 without a problem type that asks to come back is taken at its word; under a key that is harmless.
  const inProgress = problem === 'in-progress' || outcome === 'in-progress';
  if (status === 409 && (inProgress || (problem === undefined && retryAfter !== undefined))) {
    return { again: true, effect: 'unknown', retryAfterMs: retryAfter };
  }
  if (problem === 'cancelled' || problem === 'key-reused') return settled;
  return outcome === 'refused' || momentary.has(status) ? refusedNow : settled;
}

/** Of a request that may be sent any number of times. */
export function judgeSafe(_request: Request, { response }: Report, nowMs: number): Verdict {
  if (response === undefined) return { again: true, effect: 'did-not-happen' };
  const again = response.status >= 500 || response.status === 425 || response.status === 429;
  return again ? { again, effect: 'did-not-happen', retryAfterMs: retryAfterMs(response.headers, nowMs) } : settled;
}

const settled: Verdict = Object.freeze({ again: false, effect: 'settled' });
const refusedNow: Verdict = Object.freeze({ again: false, effect: 'did-not-happen' });

/** Values of `Idempotency-Outcome` that tell what became of the operation. Of a mismatch: nothing, under this key. */
const resolved: ReadonlySet<string> = new Set(['executed', 'replayed', 'mismatch', 'expired']);

/**
 * Refusals for a reason that may come and go between two attempts: credentials that ran out, a moment's load. The same request
 * may well have been let through a moment earlier. Of 409 draft-ietf-httpapi-idempotency-key-header-07, section 2.7, says no
 * more than that the request before it "is still being processed", and an application means something else by it.
 */
const momentary: ReadonlySet<number> = new Set([401, 403, 407, 408, 409]);

/** The last segment of a problem's type (RFC 9457), which is a name at every server that speaks of these things. */
function problemOf({ response, bytes }: Extract<Report, { response: Response }>): string | undefined {
  if (bytes === undefined || !isProblem(response)) return undefined;
  try {
    const document: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof document !== 'object' || document === null || !('type' in document)) return undefined;
    const { type } = document;
    return typeof type === 'string' && type !== 'about:blank' ? type.split('/').at(-1) : undefined;
  } catch {
    return undefined;
  }
}

export function isProblem({ headers }: Response): boolean {
  return /^application\/problem\+json\s*(;|$)/i.test(headers.get('content-type') ?? '');
}

/** Failures before there was a connection, as Node.js names them. Browsers keep the reason to themselves. */
const connecting: ReadonlySet<string> = new Set(['connect', 'getaddrinfo']);

function neverConnected(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  // Of a host with several addresses: every one of them must have failed so.
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(neverConnected);
  if ('syscall' in error) return typeof error.syscall === 'string' && connecting.has(error.syscall);
  if ('code' in error && error.code === 'UND_ERR_CONNECT_TIMEOUT') return true;
  return error.cause !== undefined && neverConnected(error.cause);
}
