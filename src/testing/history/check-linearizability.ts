import { isDeepStrictEqual } from 'node:util';
import { LinearizationSearch } from './linearization-search.ts';
import { describeOperation, modelText, type SequentialModel } from './sequential-model.ts';
import type { LinearizabilityViolation, TimedOperation } from './timed-operation.ts';
import { MalformedHistoryError } from './transaction-history.ts';

export interface LinearizabilityOptions {
  /** The search is exponential at worst: it gives up after so many steps. Default 10 million. */
  readonly stepsMax?: number;
}

export type LinearizabilityReport<Input, Output> =
  | {
      readonly outcome: 'linearizable';
      /** Of each part, an order that explains every answer. */
      readonly orders: readonly (readonly TimedOperation<Input, Output>[])[];
    }
  | { readonly outcome: 'violation'; readonly violation: LinearizabilityViolation<Input, Output> }
  | { readonly outcome: 'undecided'; readonly steps: number };

/**
 * Whether each operation can have taken effect at one moment between its call and its answer: linearizability, Herlihy
 * and Wing, *Linearizability: A Correctness Condition for Concurrent Objects* (1990). The search is that of Wing and Gong,
 * *Testing and Verifying Concurrent Objects* (1993), which remembers where it has been as in Lowe, *Testing for
 * Linearizability* (2017), and takes each part of the object by itself as in Horn and Kroening, *Faster linearizability checking
 * via P-compositionality* (2015); so does Porcupine.
 */
export function checkLinearizability<State, Input, Output>(
  operations: readonly TimedOperation<Input, Output>[],
  model: SequentialModel<State, Input, Output>,
  { stepsMax = 10_000_000 }: LinearizabilityOptions = {},
): LinearizabilityReport<Input, Output> {
  const backwards = operations.find(({ invoked, answer }) => answer !== undefined && !(invoked <= answer.completed));
  if (backwards !== undefined) throw new MalformedHistoryError('an operation was answered before it was invoked');
  const exact = {
    model,
    equal: model.equal?.bind(model) ?? ((one: Output, other: Output) => isDeepStrictEqual(one, other)),
    hash: model.hash?.bind(model) ?? modelText,
  };
  const orders: (readonly TimedOperation<Input, Output>[])[] = [];
  let steps = 0;
  let isUndecided = false;
  for (const [partition, part] of partitions(operations, model)) {
    const search = new LinearizationSearch(part, exact, stepsMax - steps);
    const found = search.run();
    steps += search.steps;
    if (found.outcome === 'violation') return { outcome: 'violation', violation: { partition, ...found.violation } };
    // Another part may be wrong for certain.
    if (found.outcome === 'undecided') isUndecided = true;
    else orders.push(found.order);
  }
  return isUndecided ? { outcome: 'undecided', steps } : { outcome: 'linearizable', orders };
}

function partitions<Input, Output>(
  operations: readonly TimedOperation<Input, Output>[],
  model: Pick<SequentialModel<never, Input, Output>, 'partition'>,
): ReadonlyMap<string | undefined, readonly TimedOperation<Input, Output>[]> {
  const parts = new Map<string | undefined, TimedOperation<Input, Output>[]>();
  for (const operation of operations) {
    const name = model.partition?.(operation.input);
    const part = parts.get(name) ?? [];
    parts.set(name, part);
    part.push(operation);
  }
  return parts;
}

/** The violation as text. */
export function describeViolation<Input, Output>(
  { partition, operations, longest, stuck, expected }: LinearizabilityViolation<Input, Output>,
  model: Pick<SequentialModel<unknown, Input, Output>, 'describe'>,
): string {
  const text = ({ process, input, answer }: TimedOperation<Input, Output>): string => {
    return `${process}: ${describeOperation(model, input, answer)}`;
  };
  const left = operations.filter((operation) => !longest.includes(operation) && operation !== stuck);
  return [
    `not linearizable${partition === undefined ? '' : ` at ${partition}`}`,
    ...longest.map((operation, at) => `  ${at + 1}. ${text(operation)}`),
    `  then no order goes on: ${text(stuck)}, where it would have been answered ${modelText(expected)}`,
    ...left.map((operation) => `  nor with ${text(operation)} before it`),
  ].join('\n');
}
