import type { Key } from '../../src/kv/key.ts';
import type { ReadTransaction, Transaction } from '../../src/kv/store.ts';
import { check } from '../check-failed.ts';
import type { Client } from '../client.ts';
import type { Circumstances, Workload, WorkloadOptions } from '../workload.ts';

/**
 * FoundationDB's Cycle. Nodes point at each other in a ring; each transaction takes three in a row and lets the first two change
 * places. Whatever order they take effect in, it stays one ring; reads that are not of one moment, or half of a commit, break it.
 */
export class Ring implements Workload {
  readonly #nodes: number;

  constructor({ random }: WorkloadOptions) {
    this.#nodes = random.integer(4, 12);
  }

  async setup(tx: Transaction): Promise<void> {
    for (let node = 0; node < this.#nodes; node++) tx.set(keyOf(node), (node + 1) % this.#nodes);
  }

  async start(client: Client): Promise<void> {
    const first = client.random.integer(0, this.#nodes - 1);
    await client.transact(async (tx) => {
      const second = await next(tx, first);
      await client.rest();
      const third = await next(tx, second);
      await client.rest();
      const fourth = await next(tx, third);
      client.tell(() => `turns ${first} > ${second} > ${third} > ${fourth} round`);
      await client.rest();
      tx.set(keyOf(first), third);
      tx.set(keyOf(third), second);
      tx.set(keyOf(second), fourth);
      if (client.random.chance(0.2)) await client.rest();
    });
  }

  async check(tx: ReadTransaction, { rest }: Circumstances): Promise<void> {
    const way: number[] = [];
    let node = 0;
    do {
      way.push(node);
      node = await next(tx, node);
      await rest();
    } while (node !== 0 && way.length <= this.#nodes);
    check(
      way.length === this.#nodes,
      'ring: it is still one ring',
      () => `from 0 it goes ${way.join(' > ')} > ${node}`,
    );
  }
}

function keyOf(node: number): Key {
  return ['ring', node];
}

async function next(tx: ReadTransaction, node: number): Promise<number> {
  return Number(await tx.get(keyOf(node)));
}
