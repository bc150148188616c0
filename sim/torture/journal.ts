import { closeSync, openSync, writeSync } from 'node:fs';
import type { Answer } from './exchange.ts';
import type { Operation } from './operation.ts';

/** What the clients know: every request that they sent and every answer that they got. Nothing else tells the oracle what is true. */
export class Journal {
  readonly #file: number;
  readonly #histories = new Map<string, History>();
  #requests = 0;

  constructor(path: string) {
    this.#file = openSync(path, 'a');
  }

  get requests(): number {
    return this.#requests;
  }

  get histories(): readonly History[] {
    return [...this.#histories.values()];
  }

  historyOf(operation: Operation): History {
    let history = this.#histories.get(operation.id);
    if (history === undefined) {
      history = new History(operation);
      this.#histories.set(operation.id, history);
      this.note({ operation: operation.id, event: 'planned', request: operation.request });
    }
    return history;
  }

  sent(operation: Operation, sender: number): void {
    this.#requests += 1;
    this.#add(operation, { event: 'sent', sender });
  }

  answered(operation: Operation, sender: number, answer: Answer): void {
    const { status, headers } = answer;
    this.#add(operation, { event: 'answered', sender, status, headers, body: answer.body.toString('utf8') });
  }

  cut(operation: Operation, sender: number, facts: { readonly bytesReceived: number; readonly reason: string }): void {
    const history = this.historyOf(operation);
    history.cuts += 1;
    if (facts.bytesReceived > 0) history.hasPart = true;
    this.#add(operation, { event: 'cut', sender, ...facts });
  }

  notSent(operation: Operation, sender: number, reason: string): void {
    this.#add(operation, { event: 'not sent', sender, reason });
  }

  /** What is true of the whole run. */
  note(facts: Readonly<Record<string, unknown>>): void {
    writeSync(this.#file, `${JSON.stringify({ atMs: Math.round(performance.now()), ...facts })}\n`);
  }

  close(): void {
    closeSync(this.#file);
  }

  #add(operation: Operation, facts: Readonly<Record<string, unknown>>): void {
    const line = { operation: operation.id, ...facts };
    this.historyOf(operation).story.push(JSON.stringify({ atMs: Math.round(performance.now()), ...facts }));
    this.note(line);
  }
}

/** Everything about one operation. */
export class History {
  readonly operation: Operation;
  /** The first that is not a refusal for now. Every other one must be equal to it. */
  final: Answer | undefined;
  /** Requests that were sent and of which no complete answer came back. */
  cuts = 0;
  /** Whether a part of an answer came back, and no more. */
  hasPart = false;
  readonly story: string[] = [];

  constructor(operation: Operation) {
    this.operation = operation;
  }
}
