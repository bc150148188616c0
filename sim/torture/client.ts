import { setTimeout as pause } from 'node:timers/promises';
import type { Connections, Exchange } from './exchange.ts';
import type { Journal } from './journal.ts';
import type { Operation } from './operation.ts';
import type { Oracle } from './oracle.ts';
import { demand } from './violation.ts';

export interface ClientHooks {
  readonly onSent?: () => void;
  readonly onAnswered?: () => void;
}

/** Sends its operations one after another, each until it has a final answer. It outlives the service: who is cut goes on where he was. */
export class Client {
  readonly #number: number;
  readonly #operations: readonly Operation[];
  readonly #journal: Journal;
  readonly #oracle: Oracle;
  #position = 0;
  #isWaiting = false;

  constructor(number: number, operations: readonly Operation[], journal: Journal, oracle: Oracle) {
    this.#number = number;
    this.#operations = operations;
    this.#journal = journal;
    this.#oracle = oracle;
  }

  get isDone(): boolean {
    return this.#position === this.#operations.length;
  }

  /** The place of the operation whose answer it waits for, its request being with the kernel. */
  get waitsFor(): number | undefined {
    return this.#isWaiting ? this.#position : undefined;
  }

  /** Of the operation that comes next, or that is under way. */
  get position(): number {
    return this.#position;
  }

  /** Works until it is done or gets no answer; resolves with the exchange that failed. */
  async work(connections: Connections, { onSent, onAnswered }: ClientHooks = {}): Promise<Failed | undefined> {
    for (let asked = 0; !this.isDone; asked++) {
      const operation = this.#operations[this.#position];
      if (operation === undefined) throw new Error('assertion failed: who is not done has something to do');
      demand(
        asked < this.#operations.length + asksMax,
        'every operation is answered in the end',
        'none yet',
        operation.id,
      );
      const exchange = await this.#send(operation, connections, onSent);
      if (exchange.outcome !== 'answered') return exchange;
      onAnswered?.();
      if (this.#oracle.judge(operation, exchange.answer) === 'final') this.#position += 1;
      else await pause(laterMs);
    }
    return undefined;
  }

  async #send(operation: Operation, connections: Connections, onSent: (() => void) | undefined): Promise<Exchange> {
    const exchange = await connections.send(requestOf(operation), () => {
      this.#isWaiting = true;
      this.#journal.sent(operation, this.#number);
      onSent?.();
    });
    this.#isWaiting = false;
    if (exchange.outcome === 'answered') this.#journal.answered(operation, this.#number, exchange.answer);
    else if (exchange.outcome === 'cut') this.#journal.cut(operation, this.#number, exchange);
    else this.#journal.notSent(operation, this.#number, exchange.reason);
    return exchange;
  }
}

export type Failed = Exclude<Exchange, { outcome: 'answered' }>;

/** A service that puts a client off this often, with nobody else at work, will do so for ever. A database starts in less. */
const asksMax = 400;
const laterMs = 50;

export function requestOf({
  id,
  request,
}: Operation): { headers: { 'idempotency-key': string } } & Operation['request'] {
  return { ...request, headers: { 'idempotency-key': id } };
}
