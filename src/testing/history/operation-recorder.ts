import type { TimedOperation } from './timed-operation.ts';

/** Records calls for `checkLinearizability`, in one process. Its clock counts calls and answers. */
export class OperationRecorder<Input, Output> {
  readonly #operations: TimedOperation<Input, Output>[] = [];
  #tick = 0;

  /**
   * Calls, and answers what was answered. A call that throws may have taken effect or not, unless `didNotHappen` knows that
   * it has not; then it is not recorded at all.
   */
  async record<Answer extends Output>(
    process: string,
    input: Input,
    call: () => Promise<Answer>,
    { didNotHappen = () => false }: { readonly didNotHappen?: (error: unknown) => boolean } = {},
  ): Promise<Answer> {
    const at = this.#operations.length;
    const invoked = ++this.#tick;
    const pending: TimedOperation<Input, Output> = { process, input, invoked, answer: undefined };
    this.#operations.push(pending);
    try {
      const output = await call();
      this.#operations[at] = { ...pending, answer: { completed: ++this.#tick, output } };
      return output;
    } catch (error) {
      if (didNotHappen(error)) this.#discarded.add(pending);
      throw error;
    }
  }

  operations(): readonly TimedOperation<Input, Output>[] {
    return this.#operations.filter((operation) => !this.#discarded.has(operation));
  }

  readonly #discarded = new Set<TimedOperation<Input, Output>>();
}
