/**
 * What an object does when it is asked one thing at a time: the specification that a concurrent one is held to. It is
 * deterministic: a state and a question give one answer.
 */
export interface SequentialModel<State, Input, Output> {
  readonly initial: State;
  /** What the object answers, and the state that this leaves. It changes no state that it is given. */
  step(state: State, input: Input): { readonly state: State; readonly output: Output };
  /** Whether this answer is what `step` says. Default: deep equality. */
  equal?(expected: Output, observed: Output): boolean;
  /** A text that is equal for equal states, and for no others. Default: JSON, and bigints told from numbers. */
  hash?(state: State): string;
  /**
   * The part of the object that an input is about, where parts know nothing of each other: each is then checked by itself,
   * which is faster by orders of magnitude. Herlihy and Wing (1990), section 3.2: linearizability is a local property.
   */
  partition?(input: Input): string;
  /** The operation in words, for text and pictures. Default: JSON. */
  describe?(input: Input, answer: Answered<Output>): string;
}

/** `undefined`: no answer came. */
export type Answered<Output> = { readonly output: Output } | undefined;

/** The same object many times, one a key. */
export function keyed<State, Input, Output>(
  model: SequentialModel<State, Input, Output>,
): SequentialModel<State, Input & { readonly key: string }, Output> {
  return {
    ...model,
    partition: ({ key }) => key,
    describe: (input, answer) => `${input.key}: ${describeOperation(model, input, answer)}`,
  };
}

export type RegisterInput<Value> =
  | { readonly act: 'read' }
  | { readonly act: 'write'; readonly value: Value }
  /** Writes if it holds `expected`, and answers whether it did. */
  | { readonly act: 'compare-and-set'; readonly expected: Value | undefined; readonly value: Value };

export type RegisterOutput<Value> = Value | boolean | undefined;

/** A register that can be read, written, and written under the condition that it holds what one expects. */
export function registerModel<Value>(
  initial?: Value,
): SequentialModel<Value | undefined, RegisterInput<Value>, RegisterOutput<Value>> {
  return {
    initial,
    step(state, input) {
      switch (input.act) {
        case 'read':
          return { state, output: state };
        case 'write':
          return { state: input.value, output: undefined };
        case 'compare-and-set': {
          const holds = modelText(state) === modelText(input.expected);
          return { state: holds ? input.value : state, output: holds };
        }
      }
    },
    describe(input, answer) {
      if (input.act === 'read') return `read ${answerText(answer)}`;
      if (input.act === 'write') return `write ${modelText(input.value)}`;
      return `set ${modelText(input.expected)} to ${modelText(input.value)}: ${answerText(answer)}`;
    },
  };
}

export type CounterInput = { readonly act: 'read' } | { readonly act: 'add'; readonly amount: number };

/** A counter within bounds, both inclusive: an addition past one is refused. `read` answers the sum, `add` whether it was done. */
export function counterModel({ min = -Infinity, max = Infinity } = {}): SequentialModel<
  number,
  CounterInput,
  number | boolean
> {
  return {
    initial: 0,
    step(sum, input) {
      if (input.act === 'read') return { state: sum, output: sum };
      const next = sum + input.amount;
      const fits = next >= min && next <= max;
      return { state: fits ? next : sum, output: fits };
    },
    describe(input, answer) {
      if (input.act === 'read') return `read ${answerText(answer)}`;
      return `add ${input.amount}: ${answerText(answer)}`;
    },
  };
}

export interface MutexInput {
  readonly act: 'acquire' | 'release';
  readonly owner: string;
}

/** A lock: who acquires it has it until releasing it. Both answer whether they did what they were asked. */
export function mutexModel(): SequentialModel<string | undefined, MutexInput, boolean> {
  return {
    initial: undefined,
    step(holder, { act, owner }) {
      const possible = act === 'acquire' ? holder === undefined : holder === owner;
      const next = act === 'acquire' ? owner : undefined;
      return { state: possible ? next : holder, output: possible };
    },
    describe: ({ act, owner }, answer) => `${owner} ${act}s: ${answerText(answer)}`,
  };
}

export function describeOperation<Input, Output>(
  model: Pick<SequentialModel<never, Input, Output>, 'describe'>,
  input: Input,
  answer: Answered<Output>,
): string {
  if (model.describe !== undefined) return model.describe(input, answer);
  return `${modelText(input)} → ${answerText(answer)}`;
}

function answerText(answer: Answered<unknown>): string {
  if (answer === undefined) return '?';
  return typeof answer.output === 'boolean' ? (answer.output ? 'yes' : 'no') : modelText(answer.output);
}

export function modelText(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? `${part}n` : part)) ?? 'none';
}
