import { problemBase } from 'semel/http';
import { serviceLimits } from './service-limits.ts';

/**
 * Every problem that the service itself answers, beside those of the idempotency contract, under the same base. The page at
 * /docs lists them, made from this list, and so does docs/service.md. The type is what a client should branch on.
 */
export const serviceProblems = Object.freeze({
  'request-malformed': { status: 400, title: 'The request cannot be read' },
  'kv-key-invalid': { status: 400, title: 'The key cannot be used' },
  'json-invalid': { status: 400, title: 'The body is not JSON that can be kept as it is' },
  'query-invalid': { status: 400, title: 'The query cannot be used' },
  'precondition-invalid': { status: 400, title: 'The precondition cannot be read' },
  'operation-key-invalid': { status: 400, title: 'No operation can have this key' },
  'transaction-invalid': { status: 400, title: 'The transaction cannot be understood' },
  'api-key-missing': { status: 401, title: 'This request needs an API key' },
  'api-key-unknown': { status: 401, title: 'The API key is none of this service’s' },
  'caller-foreign': { status: 403, title: 'Without API keys the service is for this machine alone' },
  'route-unknown': { status: 404, title: 'There is nothing at this path' },
  'kv-key-absent': { status: 404, title: 'There is no such key' },
  'operation-not-seen': { status: 404, title: 'No operation under this key has been seen yet' },
  'method-not-allowed': { status: 405, title: 'This path does not take this method' },
  'request-too-slow': { status: 408, title: 'The request did not arrive in time' },
  'check-failed': { status: 409, title: 'A check of the transaction failed' },
  'add-refused': { status: 409, title: 'An addition of the transaction was refused' },
  'cursor-gone': { status: 410, title: 'The snapshot of this cursor is gone' },
  'precondition-failed': { status: 412, title: 'The precondition does not hold' },
  'body-too-large': { status: 413, title: 'The request body is too large' },
  'limit-exceeded': {
    status: 413,
    title: 'Something in the request, or that it asks for, is larger than a named limit',
  },
  'media-type-unsupported': { status: 415, title: 'The body has another media type than this route takes' },
  'expectation-failed': { status: 417, title: 'The expectation cannot be met' },
  'head-too-large': { status: 431, title: 'The head of the request is too large' },
  fault: { status: 500, title: 'The service failed' },
  contended: { status: 503, title: 'Too many others were changing the same keys' },
  'deadline-exceeded': { status: 503, title: 'The operation did not end in time' },
  'commit-unknown': { status: 503, title: 'It is not known whether the operation took effect' },
  'database-unavailable': { status: 503, title: 'The database does not answer' },
  'database-refused': { status: 503, title: 'The database refuses what the service needs' },
  poisoned: { status: 503, title: 'The store stopped after a failed write' },
  stopping: { status: 503, title: 'The service is stopping' },
  'database-full': { status: 507, title: 'The database has no room left' },
} as const);

/** What is answered so has executed nothing, and the same request may succeed a moment later. */
const passing = types('contended', 'deadline-exceeded', 'database-unavailable', 'stopping');

export function isPassing({ type }: Problem): boolean {
  return passing.has(type);
}

/** The others tell the client what to do; these, and no other problem, are for the operator as well. */
const grave = types('fault', 'commit-unknown', 'database-unavailable', 'database-refused', 'database-full');

export function isGrave({ type }: Problem): boolean {
  return grave.has(type);
}

function types(...names: readonly ServiceProblem[]): ReadonlySet<string> {
  return new Set(names.map((name) => problemBase + name));
}

export type ServiceProblem = keyof typeof serviceProblems;

export type ProblemFacts = Readonly<Record<string, string | number>>;

/** Problem details, RFC 9457. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly [fact: string]: string | number;
}

export const problemMediaType = 'application/problem+json';

export function problem(name: ServiceProblem, detail: string, facts: ProblemFacts = {}): Problem {
  const { status, title } = serviceProblems[name];
  return { type: problemBase + name, title, status, detail, ...facts };
}

export function problemResponse(name: ServiceProblem, detail: string, facts?: ProblemFacts): Response {
  return responseOf(problem(name, detail, facts));
}

export function responseOf(document: Problem): Response {
  return new Response(JSON.stringify(document), {
    status: document.status,
    headers: { 'content-type': problemMediaType },
  });
}

export function queryProblem({ parameter, reason }: { readonly parameter: string; readonly reason: string }): Problem {
  return problem('query-invalid', `${parameter}: ${reason}`, { parameter });
}

export function bodyTooLarge(): Problem {
  return problem('body-too-large', `bodyBytesMax is ${serviceLimits.bodyBytesMax}`);
}
