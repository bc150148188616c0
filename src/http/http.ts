/** The door `semel/http`: the contract on web-standard Request and Response. */
export { createOnce, type Once, type OnceOptions, type ProtectedHandler } from './once.ts';
export {
  defaultBodyBytesMax,
  type Handler,
  type Keep,
  keptBytesMax,
  passingBytesMax,
  type RouteOptions,
  type StatusClass,
} from './route.ts';
export type { AnswerEvent, AnswerOutcome } from './settled.ts';
export { keptResponse } from './kept.ts';
export { problemBase, type ProblemName, problems } from './problem.ts';
