export {
  ClientError,
  InvalidArgumentError,
  LimitExceededError,
  NotSentError,
  OperationUnknownError,
} from './client-error.ts';
export type { StoppedBy } from './client-error.ts';
export { createFetch } from './create-fetch.ts';
export type { ClientOptions, OnceFetch } from './create-fetch.ts';
export type { Environment } from './environment.ts';
export type { BudgetOptions } from './retry-budget.ts';
export type { OperationsUrl, SettledOutcome, Settlement } from './settle.ts';
