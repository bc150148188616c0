import { InvalidInputError } from './check-error.ts';
import { ietfDraft } from './rule.ts';

/**
 * A known contract, where it demands one answer of those that the checks take without it: statuses, and fields. What it leaves open
 * is not here, and what it does not say stays with the checks that everybody passes.
 */
export interface Profile {
  readonly name: string;
  /** Another payload under a used key. */
  readonly mismatch: Demand;
  /** A duplicate in flight that does not get the result; `mayWait` where it is as good to get it. */
  readonly inFlight: Demand & { readonly mayWait: boolean };
  /** A request without a key, by its method. */
  readonly missingKey: (method: string) => MissingKeyDemand;
  /** Where a 5xx is kept like any answer, on purpose; `undefined` where a retry executes, or the contract does not say. */
  readonly faultsKept: { readonly source: string } | undefined;
  /** How an answer tells that it is a replay; `undefined` where none has to. */
  readonly replay: ReplayDemand | undefined;
}

export interface Demand {
  /** The document, and the section of it. */
  readonly source: string;
  readonly statuses: readonly number[];
  readonly fields: Fields;
}

export type MissingKeyDemand =
  | ({ readonly acts: false } & Demand)
  /** Each such request acts, and is not protected. */
  | { readonly acts: true; readonly source: string };

export interface ReplayDemand {
  readonly source: string;
  /** Of the answer of the request that executed. `undefined` is a field that must not be there. */
  readonly first: Fields;
  readonly replay: Fields;
}

export type Fields = Readonly<Record<string, string | undefined>>;

const semelPage = 'docs/http.md';

const semel: Profile = {
  name: 'semel',
  mismatch: {
    source: `${semelPage}, "key-reused"`,
    statuses: [409],
    fields: { 'idempotency-outcome': 'mismatch' },
  },
  inFlight: {
    // It waits by default. 409 where that takes too long or is refused, 202 with `onDuplicate: 'accept'`.
    mayWait: true,
    source: `${semelPage}, "A duplicate in flight"`,
    statuses: [409, 202],
    fields: { 'idempotency-outcome': 'in-progress' },
  },
  missingKey(method) {
    const source = `${semelPage}, "Methods" and "key-missing"`;
    if (['PUT', 'DELETE'].includes(method)) return { acts: true, source };
    return { acts: false, source, statuses: [400], fields: { 'idempotency-outcome': 'refused' } };
  },
  faultsKept: undefined,
  replay: {
    source: `${semelPage}, "The answer"`,
    first: { 'idempotency-outcome': 'executed', 'idempotent-replayed': undefined },
    replay: { 'idempotency-outcome': 'replayed', 'idempotent-replayed': 'true' },
  },
};

const ietf: Profile = {
  name: 'ietf',
  mismatch: { source: `${ietfDraft}, section 2.7`, statuses: [422], fields: {} },
  inFlight: { source: `${ietfDraft}, sections 2.6 and 2.7`, statuses: [409], fields: {}, mayWait: false },
  missingKey: () => ({ acts: false, source: `${ietfDraft}, section 2.7`, statuses: [400], fields: {} }),
  faultsKept: undefined,
  // The draft has no field for it.
  replay: undefined,
};

/** Of its API v1; v2 replays in another way. It documents the type of the error at a mismatch, not the status: that is from reports of its users. */
const stripePage = 'docs.stripe.com/api/idempotent_requests';

const stripe: Profile = {
  name: 'stripe',
  mismatch: { source: `${stripePage}; docs.stripe.com/api/errors, "idempotency_error"`, statuses: [400], fields: {} },
  inFlight: {
    source: 'docs.stripe.com/error-codes, "idempotency_key_in_use"',
    statuses: [409],
    fields: {},
    mayWait: false,
  },
  // The key is an option of the client there.
  missingKey: () => ({ acts: true, source: stripePage }),
  // "Regardless of whether it succeeds or fails", 500 included.
  faultsKept: { source: stripePage },
  replay: {
    source: 'docs.stripe.com/error-low-level, "Idempotency"',
    first: { 'idempotent-replayed': undefined },
    replay: { 'idempotent-replayed': 'true' },
  },
};

const profiles: readonly Profile[] = [semel, ietf, stripe];

export const profileNames: readonly string[] = profiles.map(({ name }) => name);

/** @throws InvalidInputError for a name of no profile */
export function profileOf(name: string): Profile {
  const found = profiles.find((profile) => profile.name === name);
  if (found !== undefined) return found;
  throw new InvalidInputError(`there is no profile ${name}; the profiles are ${profileNames.join(', ')}`);
}
