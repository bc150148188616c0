/** Checkers of histories, for any database or object, whatever it is written in. Nothing here needs a test framework. */
export {
  type Anomaly,
  type AnomalyName,
  type CycleName,
  type Dependency,
  type DependencyKind,
  describeAnomaly,
  type IsolationLevel,
  isolationLevels,
} from './anomaly.ts';
export { anomalySvg } from './anomaly-svg.ts';
export {
  checkLinearizability,
  describeViolation,
  type LinearizabilityOptions,
  type LinearizabilityReport,
} from './check-linearizability.ts';
export { checkSerialOrder, type SerialOrderOptions, type SerialOrderReport } from './check-serial-order.ts';
export {
  checkSerializability,
  type SerializabilityOptions,
  type SerializabilityReport,
} from './check-serializability.ts';
export { HistoryRecorder, type RecordOptions, type TransactionRecorder } from './history-recorder.ts';
export { linearizabilitySvg } from './linearizability-svg.ts';
export { OperationRecorder } from './operation-recorder.ts';
export { type ListDatabase, type ListTransaction, recordWorkload, type WorkloadOptions } from './random-workload.ts';
export {
  type Answered,
  type CounterInput,
  counterModel,
  keyed,
  type MutexInput,
  mutexModel,
  type RegisterInput,
  registerModel,
  type RegisterOutput,
  type SequentialModel,
} from './sequential-model.ts';
export type { SerialOrderViolation } from './serial-replay.ts';
export { storeLists } from './store-lists.ts';
export type { LinearizabilityViolation, TimedOperation } from './timed-operation.ts';
export {
  type Append,
  type History,
  type ListElement,
  MalformedHistoryError,
  type Operation,
  type RangeRead,
  type Read,
  type RecordedTransaction,
  type Write,
} from './transaction-history.ts';
