import { transactionText } from './history-text.ts';
import type { RecordedTransaction } from './transaction-history.ts';

/**
 * The names are those of the literature: G0 to G2 of Adya, *Weak Consistency: A Generalized Theory and Optimistic
 * Implementations for Distributed Transactions* (1999), section 4.2; the others of Kingsbury and Alvaro, *Elle: Inferring
 * Isolation Anomalies from Experimental Observations* (VLDB 2020), section 4 to 6. In short:
 *
 * - `G0`, write cycle: each overwrote another.
 * - `G1a`, aborted read; `G1b`, intermediate read; `G1c`, circular information flow.
 * - `G-single`, read skew: one saw another in part. `G-nonadjacent` is its like with several, as far as no two of them follow each other.
 * - `G2-item`, write skew: each missed a write of another. `G2`: one missed what its range would have found, a phantom.
 * - `internal`: a transaction does not see its own past. `lost-update`: two changed one state, each as if alone.
 * - `dirty-update`: what was rolled back was built upon. `duplicate-element`, `garbage-element`, `incompatible-order`: the
 *   list is not what its appends can have made.
 *
 * `-session` says that the cycle takes the order of a session, and `-realtime` that it takes the order of the clock: the
 * transactions can be put in order, but not in that one.
 */
export type AnomalyName =
  | CycleName
  | `${CycleName}-session`
  | `${CycleName}-realtime`
  | 'G1a'
  | 'G1b'
  | 'internal'
  | 'lost-update'
  | 'dirty-update'
  | 'duplicate-element'
  | 'garbage-element'
  | 'incompatible-order';

export type CycleName = 'G0' | 'G1c' | 'G-single' | 'G-nonadjacent' | 'G2-item' | 'G2';

/** From weak to strong, but that neither of `repeatable-read` (Adya's PL-2.99) and `snapshot` is above the other. */
export const isolationLevels = [
  'read-uncommitted',
  'read-committed',
  'repeatable-read',
  'snapshot',
  'serializable',
  'strict-session-serializable',
  'strict-serializable',
] as const;

export type IsolationLevel = (typeof isolationLevels)[number];

export interface Anomaly {
  readonly name: AnomalyName;
  /** One sentence. */
  readonly title: string;
  readonly forbiddenBy: readonly IsolationLevel[];
  /** Who takes part; of a cycle, in its order. */
  readonly transactions: readonly RecordedTransaction[];
  /** What binds them. Of a cycle, the i-th leads from the i-th of `transactions` to the next, and the last to the first. */
  readonly dependencies: readonly Dependency[];
}

export type DependencyKind = 'ww' | 'wr' | 'rw' | 'session' | 'realtime';

/** That `from` comes before `to` in every order that explains what was seen. */
export interface Dependency {
  readonly kind: DependencyKind;
  readonly from: RecordedTransaction;
  readonly to: RecordedTransaction;
  readonly key: string | undefined;
  /** Of `rw`: what was missed is that a range would have found the key. */
  readonly phantom: boolean;
  /** A sentence that says how this is known. */
  readonly why: string;
}

/** The anomaly as text: what happened, who did what, and why that is no order. */
export function describeAnomaly({ name, title, forbiddenBy, transactions, dependencies }: Anomaly): string {
  return [
    `${name}: ${title}`,
    ...transactions.map((transaction) => `  ${transactionText(transaction)}`),
    ...dependencies.map(
      ({ from, to, kind, key, why }) =>
        `  ${from.name} -> ${to.name} (${kind}${key === undefined ? '' : ` ${key}`}): ${why}`,
    ),
    `  Forbidden by ${forbiddenBy.join(', ')}.`,
  ].join('\n');
}
