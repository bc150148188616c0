import type { Key } from '../../src/kv/key.ts';
import type { ReadTransaction } from '../../src/kv/store.ts';
import { check } from '../check-failed.ts';
import type { Client } from '../client.ts';
import type { Marks } from '../marks.ts';
import type { Circumstances, Workload, WorkloadOptions } from '../workload.ts';

/**
 * Commits that are answered when they are in memory. A crash may lose them, and what it loses is always the end: where one is
 * left, so is everything that was answered before that one began; and whatever a durable answer rested on is left.
 */
export class Visible implements Workload {
  readonly #counters: readonly Counter[];
  readonly #marks: Marks;
  #order = 0;

  constructor({ clients, marks }: WorkloadOptions) {
    this.#counters = Array.from({ length: clients }, () => new Counter());
    this.#marks = marks;
  }

  async setup(): Promise<void> {}

  async start(client: Client): Promise<void> {
    const counter = this.#counters[client.number];
    if (counter === undefined || counter.inDoubt) return;
    const durable = client.random.chance(0.25);
    const began = ++this.#order;
    const number = counter.begin(began);
    const answer = await client.transactPatiently(
      async (tx) => {
        tx.set(keyOf(client.number), number);
        await client.rest();
      },
      { durability: durable ? 'durable' : 'visible' },
    );
    client.tell(() => `makes its commit ${number} ${durable ? 'durable' : 'visible'}: ${answer.outcome}`);
    if (answer.outcome === 'fault') {
      if (answer.effect === 'unknown') counter.inDoubt = true;
      else counter.forget();
      return;
    }
    counter.answered(++this.#order);
    if (durable) {
      // What was answered before it began, it has made durable with itself.
      for (const other of this.#counters) other.durable = Math.max(other.durable, other.answeredBefore(began));
      counter.durable = number;
    }
    if (client.random.chance(0.2)) await this.#look(client, number);
  }

  async check(tx: ReadTransaction, { when }: Circumstances): Promise<void> {
    const floors = this.#counters.map(({ durable }) => durable);
    const found: number[] = [];
    for (const index of this.#counters.keys()) found.push(Number((await tx.get(keyOf(index))) ?? 0));
    if (when === 'rotten' || when === 'copied') return;
    for (const [index, floor] of floors.entries()) {
      check((found[index] ?? 0) >= floor, 'visible: what a durable answer rests on is there', () =>
        facts(found, floors),
      );
    }
    if (when !== 'opened') return;
    for (const [index, number] of found.entries()) {
      const began = this.#counters[index]?.beganOf(number) ?? 0;
      for (const [other, counter] of this.#counters.entries()) {
        const least = counter.answeredBefore(began);
        check((found[other] ?? 0) >= least, 'visible: what a crash loses is the end', () => facts(found, floors));
      }
    }
    for (const [index, counter] of this.#counters.entries()) {
      if (counter.settle(found[index] ?? 0)) this.#marks.reach('visible commit lost');
    }
  }

  /** Whoever asks for the newest state sees it at once. */
  async #look(client: Client, number: number): Promise<void> {
    const answer = await client.attempt(
      () => client.store.read((tx) => tx.get(keyOf(client.number)), { durability: 'visible' }),
      false,
    );
    if (answer.outcome === 'fault') return;
    const found = Number(answer.value ?? 0);
    check(
      found === number,
      'visible: what was answered is seen',
      () => `commit ${number} was answered, ${found} is seen`,
    );
  }
}

/** The commits of one client, numbered from 1. */
class Counter {
  readonly #began: number[] = [];
  #answered: number[] = [];
  durable = 0;
  inDoubt = false;

  begin(order: number): number {
    return this.#began.push(order);
  }

  forget(): void {
    this.#began.pop();
  }

  answered(order: number): void {
    this.#answered.push(order);
  }

  beganOf(number: number): number {
    return this.#began[number - 1] ?? 0;
  }

  answeredBefore(order: number): number {
    return this.#answered.filter((answered) => answered <= order).length;
  }

  /** Goes on from what is there. Answers whether an answered commit is gone. */
  settle(found: number): boolean {
    const lost = found < this.#answered.length;
    this.#began.length = found;
    this.#answered = this.#began.map((began, index) => this.#answered[index] ?? began);
    this.durable = found;
    this.inDoubt = false;
    return lost;
  }
}

function facts(found: readonly number[], floors: readonly number[]): string {
  return `of the clients' commits ${found.join(', ')} are left, of which ${floors.join(', ')} were durable`;
}

function keyOf(client: number): Key {
  return ['visible', client];
}
