import type { Answer } from './answer.ts';
import { problem, type ProblemName, type ProblemOptions } from './problem.ts';

/** What became of a request that bears a key; the value of the field `Idempotency-Outcome`. */
export type AnswerOutcome = 'executed' | 'replayed' | 'in-progress' | 'mismatch' | 'expired' | 'refused';

/** Labels from closed sets, fit for metrics: no key, no scope, no body. */
export interface AnswerEvent {
  readonly outcome: AnswerOutcome;
  /** `undefined` after a fault: a handler threw, say, and whoever catches it answers. */
  readonly status: number | undefined;
  /** The problem that the contract itself answered; `undefined` for what a handler, a guard or a record answered. */
  readonly problem: ProblemName | undefined;
}

/** A request that found its answer. Without an outcome: it bore no key, and needed none. */
export interface Settled {
  readonly answer: Answer;
  readonly outcome?: AnswerOutcome;
  readonly problem?: ProblemName;
}

export function settledBy(
  outcome: AnswerOutcome,
  name: ProblemName,
  detail: string,
  options?: ProblemOptions,
): Settled {
  return { answer: problem(name, detail, options), outcome, problem: name };
}

export function refusedBy(name: ProblemName, detail: string, options?: ProblemOptions): Settled {
  return settledBy('refused', name, detail, options);
}
