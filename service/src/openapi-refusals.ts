import { problems, type ProblemName } from 'semel/http';
import { headerRefs, onceHeaders, type HeaderName } from './openapi-headers.ts';
import { serviceProblems, type ServiceProblem } from './problem.ts';

type AnyProblem = ServiceProblem | ProblemName;

/** What keeps a stranger out. */
export const authRefusals = ['api-key-missing', 'api-key-unknown', 'caller-foreign'] as const;

/** What a database may answer to anything. */
export const databaseRefusals = ['database-unavailable', 'database-refused'] as const;

/** What a write may meet. */
export const storeRefusals = [
  'contended',
  'deadline-exceeded',
  'commit-unknown',
  'poisoned',
  'stopping',
  ...databaseRefusals,
  'database-full',
] as const;

/** The idempotency contract's own, of docs/http.md. */
const contractRefusals = [
  'key-missing',
  'key-invalid',
  'in-progress',
  'key-reused',
  'cancelled',
  'expired',
  'body-too-large',
  'overloaded',
] as const;

/** Of a route that takes an Idempotency-Key: the named problems, and what any such route may answer. */
export function onceRefusals(...names: readonly AnyProblem[]) {
  return byStatus([...authRefusals, ...names, ...contractRefusals, ...storeRefusals], onceHeaders);
}

/** Of another route of data. */
export function dataRefusals(...names: readonly AnyProblem[]) {
  return refusals(...authRefusals, ...databaseRefusals, ...names);
}

export function refusals(...names: readonly AnyProblem[]) {
  return byStatus(names, []);
}

/** A response for each status that the named problems have; and one for what any request can meet. */
function byStatus(names: readonly AnyProblem[], headers: readonly HeaderName[]): Record<string, Refusal> {
  const listed = { ...problems, ...serviceProblems };
  const described = new Map<number, string[]>();
  for (const name of names) {
    const { status } = listed[name];
    described.set(status, [...(described.get(status) ?? []), `\`${name}\``]);
  }
  const responses: Record<string, Refusal> = { default: refusal('default', 'Any other problem', headers) };
  for (const [status, found] of described) responses[status] = refusal(status, found.join(', '), headers);
  return responses;
}

type Refusal = ReturnType<typeof refusal>;

function refusal(status: number | 'default', description: string, headers: readonly HeaderName[]) {
  return {
    description,
    headers: headerRefs([...(headersByStatus[status] ?? []), ...headers]),
    content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
  };
}

const headersByStatus: Readonly<Partial<Record<number | 'default', readonly HeaderName[]>>> = {
  401: ['WWW-Authenticate'],
  409: ['Retry-After'],
  503: ['Retry-After'],
  default: ['Allow', 'Retry-After'],
};
