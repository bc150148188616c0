import type { Key } from '../../src/kv/key.ts';
import type { Entry, ReadTransaction, Transaction } from '../../src/kv/store.ts';
import { check, CheckFailed } from '../check-failed.ts';
import type { Client } from '../client.ts';
import { Receipt } from '../receipt.ts';
import type { Circumstances, Workload, WorkloadOptions } from '../workload.ts';
import { type Act, Discarded, type Held, randomProgram, readingProgram, runProgram, subjectOf } from './program.ts';
import { Look, SerialHistory, Step } from './serial-history.ts';

/**
 * Random transactions, checked directly against the order in which they took effect, which their versions tell. Each must have
 * seen what it sees when all are run one at a time in that order, on a plain map; each comes after those that were acknowledged
 * before it began; and what only read, or failed, must have seen some moment of its own time. The strongest check of all, and the
 * slowest to explain what is wrong.
 */
export class Serial implements Workload {
  readonly #keys: number;
  readonly #receipts: readonly Receipt[];
  readonly #newest: (Step | undefined)[] = [];
  readonly #history = new SerialHistory();

  constructor({ random, clients, marks }: WorkloadOptions) {
    this.#keys = random.pick([2, 3, 5, 8, 30]);
    this.#receipts = Array.from({ length: clients }, (_, owner) => new Receipt(owner, marks));
  }

  async setup(): Promise<void> {}

  async start(client: Client): Promise<void> {
    const receipt = this.#receipts[client.number];
    if (receipt === undefined) return;
    const way = client.random.fraction();
    if (way < 0.75) await this.#write(client, receipt);
    else if (way < 0.85) await this.#look(client, randomProgram(client.random, this.#keys), 'fail');
    else await this.#look(client, readingProgram(client.random, this.#keys), way < 0.95 ? 'read' : 'transact');
  }

  async check(tx: ReadTransaction, { when, mayLose }: Circumstances): Promise<void> {
    if (when === 'under-load' || when === 'copied') return;
    const state = new Map<number, Held>();
    for await (const { key, value } of tx.scan({ prefix: data })) state.set(Number(key.at(-1)), value as Held);
    for (const receipt of this.#receipts)
      this.#resolve(receipt, await tx.getEntry(receiptKey(receipt.owner)), when, mayLose);
    if (when === 'rotten') return this.#history.checkCutOff(state);
    await this.#history.check(state);
  }

  async #write(client: Client, receipt: Receipt): Promise<void> {
    if (receipt.inDoubt && !(await this.#ask(client, receipt))) return;
    const acts = randomProgram(client.random, this.#keys);
    const step = new Step(acts, this.#history.begin());
    const number = receipt.begin();
    this.#newest[client.number] = step;
    client.tell(() => `runs ${JSON.stringify(acts)} as its operation ${number}`);
    // Nobody asks for its version before it commits, so versions tell the order.
    const answer = await client.transactUnasked(async (tx) => {
      const seen = await runProgram(
        acts,
        subjectOf(tx, data, () => client.rest()),
      );
      client.tell(() => `has seen ${JSON.stringify(seen)}`);
      step.seen = seen;
      tx.set(receiptKey(client.number), number);
    });
    receipt.end(answer.outcome === 'done' ? 'happened' : answer.effect);
    if (answer.outcome === 'fault') {
      if (answer.effect === 'did-not-happen') this.#newest[client.number] = undefined;
      return;
    }
    const found = await client.read((tx) => tx.getEntry(receiptKey(client.number)));
    if (found.outcome === 'fault') return;
    const what = found.value?.value;
    check(
      what === number,
      'read sees what was acknowledged before it',
      () => `the receipt says ${JSON.stringify(what)}, not ${number}`,
    );
    this.#place(client.number, found.value);
  }

  /** A look leaves nothing behind, so all that can be asked is that it was true at some moment. */
  async #look(client: Client, acts: readonly Act[], by: 'read' | 'transact' | 'fail'): Promise<void> {
    const look = new Look(acts, this.#history.begin());
    client.tell(() => `looks by ${by}: ${JSON.stringify(acts)}`);
    const run = async (tx: Transaction): Promise<void> => {
      look.seen = await runProgram(
        acts,
        subjectOf(tx, data, () => client.rest()),
      );
      client.tell(() => `has seen ${JSON.stringify(look.seen)}`);
      if (by === 'fail') throw new Discarded();
    };
    try {
      // What only reads needs of a transaction no more than a snapshot has.
      const answer = by === 'read' ? await client.read((tx) => run(tx as Transaction)) : await client.transact(run);
      if (answer.outcome === 'fault') return;
    } catch (error) {
      if (!(error instanceof Discarded)) throw error;
    }
    this.#history.looked(look);
  }

  async #ask(client: Client, receipt: Receipt): Promise<boolean> {
    const answer = await client.attempt(
      () => client.store.transact((tx) => tx.getEntry(receiptKey(client.number))),
      false,
    );
    if (answer.outcome === 'fault') return false;
    this.#resolve(receipt, answer.value, 'opened', 0);
    return true;
  }

  #resolve(receipt: Receipt, entry: Entry | undefined, when: Circumstances['when'], mayLose: number): void {
    const number = Number(entry?.value ?? 0);
    if (when === 'rotten') {
      receipt.judgeCutOff(number, mayLose);
      if (receipt.inDoubt && number > receipt.known.settled) this.#place(receipt.owner, entry);
      return;
    }
    if (receipt.settle(number) === 'did-not-happen') this.#newest[receipt.owner] = undefined;
    else this.#place(receipt.owner, entry);
  }

  #place(owner: number, entry: Entry | undefined): void {
    const step = this.#newest[owner];
    if (step === undefined) return;
    if (entry?.version === undefined) throw new CheckFailed('an entry has its version', `client ${owner} finds none`);
    this.#newest[owner] = undefined;
    step.version = Number.parseInt(entry.version, 36);
    this.#history.place(step);
  }
}

const data: Key = ['serial', 'data'];

function receiptKey(client: number): Key {
  return ['serial', 'receipt', client];
}
