import type { Key } from '../../src/kv/key.ts';
import type { ReadTransaction, Transaction } from '../../src/kv/store.ts';
import { check } from '../check-failed.ts';
import type { Client } from '../client.ts';
import { Receipt } from '../receipt.ts';
import type { Circumstances, Workload, WorkloadOptions } from '../workload.ts';

/**
 * Additions and subtractions at the bounds of one small store of things, and beside it what each client took and gave. The sum
 * of the second is the first, and the first never leaves its bounds.
 */
export class Additions implements Workload {
  readonly #max: number;
  readonly #receipts: readonly Receipt[];

  constructor({ random, clients, marks }: WorkloadOptions) {
    this.#max = random.integer(3, 12);
    this.#receipts = Array.from({ length: clients }, (_, owner) => new Receipt(owner, marks));
  }

  async setup(tx: Transaction): Promise<void> {
    await tx.add(stock, 0);
  }

  async start(client: Client): Promise<void> {
    const receipt = this.#receipts[client.number];
    if (receipt === undefined) return;
    const amounts = Array.from({ length: client.random.pick([1, 1, 2]) }, () => client.random.integer(-3, 3));
    const looks = client.random.chance(0.1);
    await client.operate(receipt, receiptKey(client.number), async (tx, number) => {
      tx.set(receiptKey(client.number), number);
      for (const amount of amounts) {
        const answer = await tx.add(stock, amount, { min: 0, max: this.#max });
        client.tell(() => `adds ${amount}: ${answer.outcome === 'ok' ? 'ok' : answer.reason}`);
        if (answer.outcome === 'ok') await tx.add(tallyKey(client.number), amount);
        await client.rest();
      }
      if (!looks) return;
      // Reading the sum makes it a read like any other.
      const [value] = await tx.getMany([stock]);
      const sum = Number(value ?? 0);
      check(isWithin(sum, this.#max), 'additions: the stock is within its bounds', () => `it is ${sum}`);
    });
  }

  async check(tx: ReadTransaction, { when, mayLose, rest }: Circumstances): Promise<void> {
    const known = this.#receipts.map((receipt) => receipt.known);
    const held = Number((await tx.get(stock)) ?? 0);
    check(
      isWithin(held, this.#max),
      'additions: the stock is within its bounds',
      () => `it is ${held} of ${this.#max}`,
    );
    const tallies: number[] = [];
    for (const [owner, receipt] of this.#receipts.entries()) {
      tallies.push(Number((await tx.get(tallyKey(owner))) ?? 0));
      const found = Number((await tx.get(receiptKey(owner))) ?? 0);
      if (when === 'rotten' || when === 'copied') receipt.judgeCutOff(found, mayLose);
      else if (when === 'opened') receipt.settle(found);
      else receipt.judge(found, known[owner] ?? receipt.known);
      await rest();
    }
    const sum = tallies.reduce((one, other) => one + other, 0);
    check(
      sum === held,
      'additions: the stock is what was added',
      () => `it is ${held}; the clients added ${tallies.join(', ')}`,
    );
  }
}

function isWithin(sum: number, max: number): boolean {
  return sum >= 0 && sum <= max;
}

const stock: Key = ['additions', 'stock'];

function tallyKey(client: number): Key {
  return ['additions', 'tally', client];
}

function receiptKey(client: number): Key {
  return ['additions', 'receipt', client];
}
