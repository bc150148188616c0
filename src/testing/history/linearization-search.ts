import { assert } from '../../kv/assert.ts';
import type { LinearizabilityViolation, TimedOperation } from './timed-operation.ts';
import type { SequentialModel } from './sequential-model.ts';

export interface ExactModel<State, Input, Output> {
  readonly model: SequentialModel<State, Input, Output>;
  readonly equal: (expected: Output, observed: Output) => boolean;
  readonly hash: (state: State) => string;
}

export type SearchResult<Input, Output> =
  | { readonly outcome: 'linearizable'; readonly order: readonly TimedOperation<Input, Output>[] }
  | { readonly outcome: 'violation'; readonly violation: Omit<LinearizabilityViolation<Input, Output>, 'partition'> }
  | { readonly outcome: 'undecided' };

/** A call or an answer, in a list in the order of the clock, from which an operation is lifted when it is put in order. */
interface Moment {
  readonly operation: number;
  readonly isCall: boolean;
  /** Of a call: its answer. None came for some. */
  answer: Moment | undefined;
  previous: Moment;
  next: Moment | undefined;
}

interface Taken<State> {
  readonly call: Moment;
  /** Before it. */
  readonly state: State;
}

/**
 * The search. It walks over the moments that are left. At a call it tries the operation next: if the model answers as was
 * observed, and the same operations have not led to the same state before, it lifts it out and begins again in front. At an
 * answer, whose operation is not in the order yet and can come no later, it takes back the last one it has put in and walks on
 * from there; with none to take back, there is no order. It has found one when no answer is left: those without one may
 * have happened after all, or never.
 */
export class LinearizationSearch<State, Input, Output> {
  steps = 0;
  readonly #operations: readonly TimedOperation<Input, Output>[];
  readonly #exact: ExactModel<State, Input, Output>;
  readonly #stepsMax: number;
  readonly #head: Moment;
  readonly #done: TakenSet;
  readonly #seen = new Set<string>();
  readonly #taken: Taken<State>[] = [];
  #answersLeft: number;
  #state: State;
  #longest: { readonly order: readonly number[]; readonly stuck: number; readonly state: State } | undefined;
  /** The last moment at which a search that failed has looked. */
  #lastAnswer = -Infinity;

  constructor(
    operations: readonly TimedOperation<Input, Output>[],
    exact: ExactModel<State, Input, Output>,
    stepsMax: number,
  ) {
    this.#operations = operations;
    this.#exact = exact;
    this.#stepsMax = stepsMax;
    this.#state = exact.model.initial;
    this.#done = new TakenSet(operations.length);
    this.#answersLeft = operations.filter(({ answer }) => answer !== undefined).length;
    this.#head = { operation: -1, isCall: false, answer: undefined, next: undefined } as unknown as Moment;
    this.#link();
  }

  run(): SearchResult<Input, Output> {
    let moment = this.#head.next;
    while (this.#answersLeft > 0) {
      if (++this.steps > this.#stepsMax) return { outcome: 'undecided' };
      if (moment?.isCall === true) {
        moment = this.#take(moment) ? this.#head.next : moment.next;
        continue;
      }
      if (moment !== undefined) this.#remember(moment.operation);
      const last = this.#taken.pop();
      if (last === undefined) return { outcome: 'violation', violation: this.#violation() };
      this.#putBack(last);
      moment = last.call.next;
    }
    return { outcome: 'linearizable', order: this.#taken.map(({ call }) => this.#at(call.operation)) };
  }

  #link(): void {
    const moments = this.#operations.flatMap(({ invoked, answer }, operation) => {
      const call = { operation, isCall: true, answer: undefined } as Pick<Moment, 'operation' | 'isCall'> as Moment;
      if (answer === undefined) return [{ moment: call, time: invoked }];
      call.answer = { operation, isCall: false, answer: undefined } as Pick<Moment, 'operation' | 'isCall'> as Moment;
      return [
        { moment: call, time: invoked },
        { moment: call.answer, time: answer.completed },
      ];
    });
    // At one time a call comes before an answer: two that touch are taken to overlap.
    moments.sort((a, b) => a.time - b.time || Number(b.moment.isCall) - Number(a.moment.isCall));
    let previous = this.#head;
    for (const { moment } of moments) {
      moment.previous = previous;
      previous.next = moment;
      previous = moment;
    }
  }

  #take(call: Moment): boolean {
    const { input, answer } = this.#at(call.operation);
    const { state, output } = this.#exact.model.step(this.#state, input);
    if (answer !== undefined && !this.#exact.equal(output, answer.output)) return false;
    this.#done.add(call.operation);
    const reached = `${this.#done.key()} ${this.#exact.hash(state)}`;
    if (this.#seen.has(reached)) {
      this.#done.delete(call.operation);
      return false;
    }
    this.#seen.add(reached);
    this.#taken.push({ call, state: this.#state });
    this.#state = state;
    unlink(call);
    if (call.answer === undefined) return true;
    unlink(call.answer);
    this.#answersLeft -= 1;
    return true;
  }

  #putBack({ call, state }: Taken<State>): void {
    this.#state = state;
    this.#done.delete(call.operation);
    if (call.answer !== undefined) {
      relink(call.answer);
      this.#answersLeft += 1;
    }
    relink(call);
  }

  /** The longest order so far, if this is it, when the answer of `stuck` was in the way. */
  #remember(stuck: number): void {
    this.#lastAnswer = Math.max(this.#lastAnswer, this.#at(stuck).answer?.completed ?? -Infinity);
    if (this.#longest !== undefined && this.#longest.order.length >= this.#taken.length) return;
    this.#longest = { order: this.#taken.map(({ call }) => call.operation), stuck, state: this.#state };
  }

  #violation(): Omit<LinearizabilityViolation<Input, Output>, 'partition'> {
    assert(this.#longest !== undefined, 'a search fails at an answer that was in the way');
    const { order, stuck, state } = this.#longest;
    return {
      operations: this.#operations.filter(({ invoked }) => invoked <= this.#lastAnswer),
      longest: order.map((operation) => this.#at(operation)),
      stuck: this.#at(stuck),
      expected: this.#exact.model.step(state, this.#at(stuck).input).output,
    };
  }

  #at(operation: number): TimedOperation<Input, Output> {
    return this.#operations[operation] as TimedOperation<Input, Output>;
  }
}

function unlink({ previous, next }: Moment): void {
  previous.next = next;
  if (next !== undefined) next.previous = previous;
}

function relink(moment: Moment): void {
  moment.previous.next = moment;
  if (moment.next !== undefined) moment.next.previous = moment;
}

/** Which operations are in the order, as a set whose key costs no more than what lies between its first gap and its end. */
class TakenSet {
  readonly #words: Int32Array;
  /** Every word before it is full. */
  #firstGap = 0;
  /** Every word from it on is empty. */
  #end = 0;

  constructor(size: number) {
    this.#words = new Int32Array(Math.ceil(size / 32) + 1);
  }

  add(member: number): void {
    const word = member >>> 5;
    this.#words[word] = (this.#words[word] as number) | (1 << (member & 31));
    this.#end = Math.max(this.#end, word + 1);
    while (this.#words[this.#firstGap] === -1) this.#firstGap += 1;
  }

  delete(member: number): void {
    const word = member >>> 5;
    this.#words[word] = (this.#words[word] as number) & ~(1 << (member & 31));
    this.#firstGap = Math.min(this.#firstGap, word);
    while (this.#end > 0 && this.#words[this.#end - 1] === 0) this.#end -= 1;
  }

  key(): string {
    return `${this.#firstGap}:${this.#words.subarray(this.#firstGap, this.#end).join()}`;
  }
}
