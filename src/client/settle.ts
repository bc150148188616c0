import { InvalidArgumentError } from './client-error.ts';
import { deliver, type Sender } from './deliver.ts';
import { judgeSafe, type Report, type Verdict } from './verdict.ts';

/** Where operations are settled: the URL under which each has its key, or a function that answers the whole URL of one. */
export type OperationsUrl = string | URL | ((key: string) => string | URL);

/** What became of an operation, for good. */
export type Settlement =
  /** It took effect, with this answer; `undefined` where the server does not tell it. */
  | { readonly state: 'complete'; readonly outcome: SettledOutcome | undefined }
  /** It took effect, and its answer is no longer kept. */
  | { readonly state: 'expired' }
  /** It did not take effect and never will, not even if a request of it is still on its way. */
  | { readonly state: 'cancelled' };

export interface SettledOutcome {
  readonly status: number;
  readonly mediaType: string | undefined;
  /** The document that the answer had, as `JSON.parse` reads it; `undefined` where it had none, or `null`. */
  readonly body: unknown;
}

/**
 * Asks the server for the outcome of an operation, or for it never to happen: `POST {operations}/{key}/cancel`. Doing so twice
 * is as good as once, so it is sent again like a GET, also while the operation is still in progress.
 *
 * @throws OperationUnknownError where the server did not tell; InvalidArgumentError; the reason of `init.signal`
 */
export async function settle(
  sender: Sender,
  operations: OperationsUrl | undefined,
  key: string,
  init: RequestInit,
): Promise<Settlement> {
  const request = new Request(cancelUrl(operations, key), { ...init, method: 'POST' });
  const response = await deliver(sender, {
    request,
    label: () => ({ headers: request.headers, key }),
    // An answer is as large as the server keeps it, so there is no bound of ours.
    responseBytesMax: Number.POSITIVE_INFINITY,
    judge: judgeSettling,
  });
  const view = viewIn(await response.text());
  if (view === undefined || view.state === 'in-progress')
    throw new Error('assertion failed: only what settles is handed out');
  return view;
}

function cancelUrl(operations: OperationsUrl | undefined, key: string): string | URL {
  if (operations === undefined) {
    throw new InvalidArgumentError('operations', 'undefined', 'the URL under which the server has its operations');
  }
  if (typeof operations === 'function') return operations(key);
  // URL parsers resolve the two with dots even when they are encoded, and would ask for something else.
  if (key === '' || key === '.' || key === '..' || !key.isWellFormed()) {
    throw new InvalidArgumentError('key', JSON.stringify(key), 'a key that can stand in a path');
  }
  // A Request resolves what is relative as fetch does: in a browser, against the page.
  const url = new URL(new Request(operations).url);
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${encodeURIComponent(key)}/cancel`;
  return url;
}

function judgeSettling(request: Request, report: Report, nowMs: number): Verdict {
  const { again, retryAfterMs } = judgeSafe(request, report, nowMs);
  if (again) return { again, effect: 'unknown', retryAfterMs };
  const view = report.response?.ok ? viewIn(new TextDecoder().decode(report.bytes)) : undefined;
  if (view === undefined) return { again: false, effect: 'unknown' };
  return view.state === 'in-progress' ? { again: true, effect: 'unknown' } : { again: false, effect: 'settled' };
}

/** `undefined` for anything but what the endpoint answers. */
function viewIn(text: string): Settlement | { readonly state: 'in-progress' } | undefined {
  const { state, outcome } = recordIn(text);
  if (state === 'in-progress' || state === 'expired' || state === 'cancelled') return { state };
  return state === 'complete' ? { state, outcome: outcomeIn(outcome) } : undefined;
}

function outcomeIn(given: unknown): SettledOutcome | undefined {
  const { status, mediaType, body } = asRecord(given);
  if (typeof status !== 'number') return undefined;
  return { status, mediaType: typeof mediaType === 'string' ? mediaType : undefined, body: body ?? undefined };
}

function recordIn(text: string): Record<string, unknown> {
  try {
    return asRecord(JSON.parse(text));
  } catch {
    return {};
  }
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}
