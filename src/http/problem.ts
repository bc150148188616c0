import type { Answer } from './answer.ts';

/** Each type has a heading of its own in docs/http.md, which a test compares with this list. */
export const problemBase = 'https://semel.dev/problems/';

/**
 * Every problem that the contract itself can answer. Four meanings may share a status; the type tells them apart, so it
 * is what a client should branch on.
 */
export const problems = Object.freeze({
  'key-missing': { status: 400, title: 'This request needs an Idempotency-Key' },
  'key-invalid': { status: 400, title: 'The Idempotency-Key cannot be used' },
  'in-progress': { status: 409, title: 'The same request is still being executed' },
  'key-reused': { status: 409, title: 'The Idempotency-Key was used for another request' },
  cancelled: { status: 409, title: 'The operation was cancelled before it was executed' },
  expired: { status: 410, title: 'The result of this operation is no longer kept' },
  'result-gone': { status: 410, title: 'What this operation created no longer exists' },
  'body-too-large': { status: 413, title: 'The request body is too large' },
  'response-too-large': { status: 500, title: 'The response is too large to be kept' },
  'deadline-exceeded': { status: 503, title: 'The operation did not end in time' },
  'commit-unknown': { status: 503, title: 'It is not known whether the operation took effect' },
  overloaded: { status: 503, title: 'Too many requests wait for operations in progress' },
} as const);

export type ProblemName = keyof typeof problems;

export interface ProblemOptions {
  /** Where it differs from the status that the list names. */
  readonly status?: number;
  /** Members beside the standard ones. */
  readonly facts?: Readonly<Record<string, string | number>>;
  readonly headers?: readonly (readonly [name: string, value: string])[];
}

/**
 * Problem details (RFC 9457). What it says is about this request and the named limits alone: never a time, a fingerprint
 * or a body of another request under the same key, for whoever guesses a key must learn nothing from the answer.
 */
export function problem(name: ProblemName, detail: string, options: ProblemOptions = {}): Answer {
  const { title, status } = problems[name];
  const document = { type: problemBase + name, title, status: options.status ?? status, detail, ...options.facts };
  return {
    status: document.status,
    headers: [['content-type', 'application/problem+json'], ...(options.headers ?? [])],
    body: new TextEncoder().encode(JSON.stringify(document)),
  };
}
