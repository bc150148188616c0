/** One call of an operation, from when it was sent to when its answer came. */
export interface TimedOperation<Input, Output> {
  /** Who called; a process calls one operation after another. */
  readonly process: string;
  readonly input: Input;
  /** On any clock or counter that all processes share. */
  readonly invoked: number;
  /** `undefined`: no answer came, so it took effect at some time after `invoked`, or never. */
  readonly answer: { readonly completed: number; readonly output: Output } | undefined;
}

export interface LinearizabilityViolation<Input, Output> {
  /** The part of the object; `undefined` where the model has no parts. */
  readonly partition: string | undefined;
  /** The operations of that part up to the answer at which every order has failed: no later one is needed to see it. */
  readonly operations: readonly TimedOperation<Input, Output>[];
  /** The longest order that explains what it holds: where the search came furthest. */
  readonly longest: readonly TimedOperation<Input, Output>[];
  /** Behind `longest` this one would have had to come next, or before another that did not fit either. */
  readonly stuck: TimedOperation<Input, Output>;
  /** What `stuck` would have been answered behind `longest`. */
  readonly expected: Output;
}
