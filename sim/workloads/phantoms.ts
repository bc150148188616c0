import type { Key } from '../../src/kv/key.ts';
import type { ReadTransaction, Transaction } from '../../src/kv/store.ts';
import { check } from '../check-failed.ts';
import type { Client } from '../client.ts';
import type { Circumstances, Workload, WorkloadOptions } from '../workload.ts';

/**
 * Decisions that rest on what is not there. A flight takes so many bookings and no more; a name belongs to whoever found that
 * nobody had it; of the doctors somebody is always on duty. Each of the three breaks by a read that was not validated: a
 * range, an absence, and, though nobody writes what another writes, a value.
 */
export class Phantoms implements Workload {
  readonly #seats: number;
  readonly #names: number;
  readonly #doctors: number;
  #bookings = 0;

  constructor({ random }: WorkloadOptions) {
    this.#seats = random.integer(1, 5);
    this.#names = random.integer(2, 6);
    this.#doctors = random.integer(2, 4);
  }

  async setup(tx: Transaction): Promise<void> {
    for (let doctor = 0; doctor < this.#doctors; doctor++) tx.set([...duty, doctor], true);
  }

  async start(client: Client): Promise<void> {
    const way = client.random.integer(0, 5);
    if (way < 3) await this.#book(client);
    else if (way < 5) await this.#name(client);
    else await this.#leave(client);
  }

  async check(tx: ReadTransaction, { rest }: Circumstances): Promise<void> {
    const booked = await count(tx, bookings);
    check(
      booked <= this.#seats,
      'phantoms: no flight is overbooked',
      () => `${booked} bookings of ${this.#seats} seats`,
    );
    await rest();
    for (let name = 0; name < this.#names; name++) {
      const owners = Number((await tx.get(ownersKey(name))) ?? 0);
      const owned = (await tx.get(nameKey(name))) !== undefined;
      check(owners === (owned ? 1 : 0), 'phantoms: a name has one owner', () => `name ${name} has ${owners}`);
    }
    await rest();
    const working = await count(tx, duty);
    check(working > 0, 'phantoms: somebody is on duty', () => `of ${this.#doctors} doctors nobody is`);
  }

  async #book(client: Client): Promise<void> {
    const cancels = client.random.chance(0.4);
    const reverse = client.random.chance(0.3);
    const place = client.random.integer(0, 1_000_000);
    const id = ++this.#bookings;
    const answer = await client.transact(async (tx) => {
      const found: Key[] = [];
      for await (const { key } of tx.scan({ prefix: bookings }, { reverse })) {
        found.push(key);
        if (found.length % 2 === 0) await client.rest();
      }
      await client.rest();
      const first = found[place % Math.max(1, found.length)];
      if (cancels && first !== undefined) {
        client.tell(() => `cancels booking ${String(first.at(-1))}`);
        tx.delete(first);
        return found.length - 1;
      }
      if (found.length >= this.#seats) return found.length;
      client.tell(() => `makes booking ${id}, finding ${found.length} of ${this.#seats}`);
      tx.set([...bookings, place, id], id);
      return found.length + 1;
    });
    const left = answer.outcome === 'done' ? answer.value : 0;
    check(left <= this.#seats, 'phantoms: no flight is overbooked', () => `${left} bookings of ${this.#seats} seats`);
  }

  async #name(client: Client): Promise<void> {
    const name = client.random.integer(0, this.#names - 1);
    await client.transact(async (tx) => {
      const owner = await tx.get(nameKey(name));
      await client.rest();
      client.tell(() => `${owner === undefined ? 'takes' : 'gives back'} name ${name}`);
      if (owner === undefined) {
        tx.set(nameKey(name), client.number);
        // Blind, so that the absence alone protects it.
        await tx.add(ownersKey(name), 1);
        return;
      }
      tx.delete(nameKey(name));
      await tx.add(ownersKey(name), -1);
    });
  }

  async #leave(client: Client): Promise<void> {
    const doctor = client.random.integer(0, this.#doctors - 1);
    await client.transact(async (tx) => {
      const working: number[] = [];
      for (let other = 0; other < this.#doctors; other++) {
        if ((await tx.get([...duty, other])) === true) working.push(other);
        await client.rest();
      }
      const leaves = working.includes(doctor) && working.length > 1;
      client.tell(
        () => `${leaves ? 'sends' : 'calls'} doctor ${doctor} ${leaves ? 'home' : ''}, on duty: ${working.join(', ')}`,
      );
      if (leaves) tx.delete([...duty, doctor]);
      else tx.set([...duty, doctor], true);
    });
  }
}

const bookings: Key = ['phantoms', 'booking'];
const duty: Key = ['phantoms', 'duty'];

function nameKey(name: number): Key {
  return ['phantoms', 'name', name];
}

function ownersKey(name: number): Key {
  return ['phantoms', 'owners', name];
}

async function count(tx: ReadTransaction, prefix: Key): Promise<number> {
  let number = 0;
  for await (const _ of tx.scan({ prefix })) number += 1;
  return number;
}
