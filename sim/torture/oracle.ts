import type { Answer } from './exchange.ts';
import { ExpectedState, type StoredEntry } from './expected-state.ts';
import type { History, Journal } from './journal.ts';
import { ownKey, type Operation } from './operation.ts';
import { demand } from './violation.ts';

/**
 * Judges the service by what its clients know. The rules:
 *
 * - All answers of an operation are the same, byte for byte, but for the marks that tell the executing one from replays; at most one
 *   says that it executed, all others are marked as replays. The one that executed is missing only where a request was cut.
 * - An answer is what the operation's request must lead to, given what took effect before.
 * - After a kill, whatever was answered is complete. What is complete then is replayed; what is not seen is executed, once, by a retry.
 * - An operation that was cut before its log was written has left nothing. One whose answer had begun is complete.
 * - When nothing is in flight, the store holds what the answers say, entry by entry, by value and by version, and nothing else.
 */
export class Oracle {
  readonly #journal: Journal;
  readonly #state = new ExpectedState();
  /** Operations that have a final answer, and how often one said that it executed. */
  readonly #executions = new Map<string, number>();
  #replays = 0;

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  /** Replays that were compared with what had been answered before. */
  get replays(): number {
    return this.#replays;
  }

  isSettled({ id }: Operation): boolean {
    return this.#executions.has(id);
  }

  /** `later`: the operation is still open, and the request has to be sent again. */
  judge(operation: Operation, answer: Answer): 'final' | 'later' {
    const { id } = operation;
    const outcome = headerOf(answer, 'idempotency-outcome');
    if (outcome === 'in-progress' || answer.status === 503) return 'later';
    const words = `${answer.status} with outcome ${String(outcome)}: ${answer.body.toString('utf8')}`;
    demand(outcome === 'executed' || outcome === 'replayed', 'a request is answered', words, id);
    const isMarked = headerOf(answer, 'idempotent-replayed') === 'true';
    demand(isMarked === (outcome === 'replayed'), 'a replay is marked, and nothing else is', words, id);
    const executions = (this.#executions.get(id) ?? 0) + (outcome === 'executed' ? 1 : 0);
    demand(executions <= 1, 'an operation is executed once', `${executions} answers say that they executed it`, id);
    const first = this.#firstFinal(operation);
    if (first === undefined) this.#settle(operation, answer);
    else this.#compare(operation, first, answer);
    this.#executions.set(id, executions);
    return 'final';
  }

  /** An answer to a request that was sent again after the operation was settled. */
  judgeReplay(operation: Operation, answer: Answer): void {
    const outcome = headerOf(answer, 'idempotency-outcome');
    const words = `${answer.status} with outcome ${String(outcome)}`;
    demand(outcome === 'replayed', 'what was answered is replayed', words, operation.id);
    demand(this.judge(operation, answer) === 'final', 'what was answered is replayed', words, operation.id);
    this.#replays += 1;
  }

  /** How many answers said that they executed it. */
  executionsOf({ id }: Operation): number {
    return this.#executions.get(id) ?? 0;
  }

  /**
   * Nobody waits for an answer any more. `seenAfterKill`: what it was before the retries. `isLost`: the one that executed it may itself
   * not have learned so.
   */
  judgeSettled(history: History, seenAfterKill: 'complete' | 'absent' | 'answered', isLost = false): void {
    const { operation, cuts } = history;
    const { id } = operation;
    const executions = this.#executions.get(id);
    demand(executions !== undefined, 'every operation is answered in the end', 'it has no answer', id);
    const words = `${executions} answers say so, ${cuts} requests were cut`;
    demand(executions === 1 || cuts > 0 || isLost, 'an operation is executed, and the answer says so', words, id);
    if (seenAfterKill === 'complete') {
      demand(executions === 0, 'what was complete is not executed again', words, id);
    }
    if (seenAfterKill === 'absent') demand(executions === 1, 'what had left nothing is executed', words, id);
  }

  compareState(found: readonly StoredEntry[]): void {
    this.#state.compare(found);
  }

  #firstFinal(operation: Operation): Answer | undefined {
    if (!this.isSettled(operation)) return undefined;
    return this.#journal.historyOf(operation).final;
  }

  #settle(operation: Operation, answer: Answer): void {
    const isEffective = answer.status < 300;
    const { id, fate, kind } = operation;
    const words = `${kind} was answered with ${answer.status}: ${answer.body.toString('utf8')}`;
    const isExpected = isEffective ? fate !== 'refused' : fate !== 'effective' && answer.status === 409;
    demand(isExpected, 'an answer is what the request must lead to', words, id);
    if (operation.request.method === 'PUT') {
      const isThere = operation.effect.sets.some(({ key }) => this.#state.has(key));
      demand(answer.status === (isThere ? 200 : 201), 'an answer is what the request must lead to', words, id);
    }
    this.#journal.historyOf(operation).final = answer;
    if (isEffective) this.#state.apply(operation, versionOf(operation, answer));
  }

  #compare({ id }: Operation, first: Answer, answer: Answer): void {
    const found = `${picture(answer)}\nbut the first answer was\n${picture(first)}`;
    const isSame = answer.body.equals(first.body) && picture(answer) === picture(first);
    demand(isSame, 'every answer of an operation is the same', found, id);
  }
}

/** What differs rightly: the marks, and what belongs to the moment or to the connection. */
const unlike: ReadonlySet<string> = new Set([
  'connection',
  'date',
  'idempotency-outcome',
  'idempotent-replayed',
  'keep-alive',
]);

/** All that has to be equal, in one text; the body as Latin-1, so that no byte is lost. */
function picture({ status, headers, body }: Answer): string {
  const kept = headers.filter(([name]) => !unlike.has(name)).map(([name, value]) => `${name}: ${value}`);
  return [String(status), ...kept.sort(), '', body.toString('latin1')].join('\n');
}

export function headerOf({ headers }: Answer, name: string): string | undefined {
  return headers.find(([found]) => found === name)?.[1];
}

/** The version that the answer of a transaction or of a PUT tells. A transaction that reads its own key must tell the same there. */
function versionOf({ id, request }: Operation, answer: Answer): string | undefined {
  if (request.method === 'DELETE') return undefined;
  const body = JSON.parse(answer.body.toString('utf8')) as {
    readonly version: string;
    readonly reads?: readonly { readonly key: string; readonly version: string | null }[];
  };
  const own = body.reads?.find(({ key }) => key === ownKey(id));
  const words = `it says ${body.version}, and reads its own key at ${String(own?.version)}`;
  demand(own === undefined || own.version === body.version, 'a transaction sees its own writes', words, id);
  return body.version;
}
