import type { EmbeddedStore } from '../../src/engines/embedded/embedded.ts';
import { LockTimeoutError } from '../../src/kv/errors.ts';
import type { Key } from '../../src/kv/key.ts';
import type { ReadTransaction, Transaction } from '../../src/kv/store.ts';
import { check } from '../check-failed.ts';
import type { Client } from '../client.ts';
import type { Marks } from '../marks.ts';
import type { Circumstances, Workload, WorkloadOptions } from '../workload.ts';

/**
 * Fights over locks: of keys and ranges, shared and exclusive, in orders that make deadlocks, with and without patience. Nobody
 * holds what another holds exclusively; what is locked does not change; waiters of one key are served in order; and nobody
 * waits for ever.
 */
export class Locks implements Workload {
  readonly #keys: number;
  readonly #fights = new WeakMap<EmbeddedStore, Fight>();

  readonly #marks: Marks;

  constructor({ random, marks }: WorkloadOptions) {
    this.#marks = marks;
    this.#keys = random.integer(2, 6);
  }

  async setup(tx: Transaction): Promise<void> {
    for (let key = 0; key < this.#keys; key++) tx.set(keyOf(key), 0);
  }

  async start(client: Client): Promise<void> {
    let fight = this.#fights.get(client.store);
    if (fight === undefined) this.#fights.set(client.store, (fight = new Fight()));
    const way = client.random.integer(0, 9);
    if (way < 2) await this.#queue(client, fight);
    else if (way < 8) await this.#fight(client, fight);
    else await this.#write(client);
  }

  async check(tx: ReadTransaction, { rest }: Circumstances): Promise<void> {
    for (let key = 0; key < this.#keys; key++) {
      const value = await tx.get(keyOf(key));
      check(
        typeof value === 'number',
        'locks: each key has its count',
        () => `key ${key} holds ${JSON.stringify(value)}`,
      );
      await rest();
    }
  }

  /** Through a turnstile, one after the other. */
  async #queue(client: Client, fight: Fight): Promise<void> {
    let attempts = 0;
    const answer = await client.transactPatiently(async (tx) => {
      attempts += 1;
      const ticket = fight.arrive();
      try {
        await tx.lock(turnstile);
        fight.pass(ticket);
      } finally {
        fight.leave(ticket);
      }
      const before = Number((await tx.get(turnstile)) ?? 0);
      client.tell(() => `passes the turnstile as number ${before + 1}`);
      await client.rest();
      tx.set(turnstile, before + 1);
      tx.set(['locks', 'pass', client.number], client.padding());
    });
    if (answer.outcome === 'done') {
      check(
        attempts === 1,
        'locks: what was locked before the first read is not lost',
        () => `it took ${attempts} attempts`,
      );
    }
  }

  async #fight(client: Client, fight: Fight): Promise<void> {
    const { random } = client;
    const wishes = Array.from({ length: random.integer(1, 3) }, () => this.#wish(client));
    const writes = random.chance(0.7);
    await client.transactPatiently(async (tx) => {
      const held = new Set<Holding>();
      try {
        for (const wish of wishes) {
          await client.rest();
          client.tell(() => `wants ${wish.mode} ${wish.from} to ${wish.to - 1}`);
          const target =
            wish.to === wish.from + 1 ? keyOf(wish.from) : { start: keyOf(wish.from), end: keyOf(wish.to) };
          try {
            await tx.lock(target, {
              mode: wish.mode,
              ...(wish.timeoutMs === undefined ? {} : { timeoutMs: wish.timeoutMs }),
            });
          } catch (error) {
            if (wish.timeoutMs === undefined || !(error instanceof LockTimeoutError)) throw error;
            this.#marks.reach('lock not granted in time');
            continue;
          }
          held.add(fight.hold(client.number, wish));
        }
        await client.rest();
        const seen = await this.#valuesOf(tx, held);
        await client.rest();
        await this.#checkUnchanged(client, seen);
        if (!writes) return;
        for (const { mode, from } of held) if (mode === 'exclusive') tx.set(keyOf(from), Number(seen.get(from)) + 1);
      } finally {
        for (const holding of held) fight.release(holding);
      }
    });
  }

  /** Whoever writes without asking waits at the commit. */
  async #write(client: Client): Promise<void> {
    const key = client.random.integer(0, this.#keys - 1);
    await client.transact(async (tx) => {
      await tx.add(keyOf(key), 1);
      await client.rest();
      if (client.random.chance(0.3)) await tx.prepare();
    });
  }

  #wish(client: Client): Wish {
    const { random } = client;
    const from = random.integer(0, this.#keys - 1);
    const to = random.chance(0.7) ? from + 1 : random.integer(from + 1, this.#keys);
    const timeoutMs = random.chance(0.3) ? random.pick([0, 0.2, 1]) : undefined;
    return { from, to, mode: random.chance(0.6) ? 'exclusive' : 'shared', timeoutMs };
  }

  async #valuesOf(tx: ReadTransaction, held: ReadonlySet<Holding>): Promise<ReadonlyMap<number, unknown>> {
    const seen = new Map<number, unknown>();
    for (const { from, to } of held) for (let key = from; key < to; key++) seen.set(key, await tx.get(keyOf(key)));
    return seen;
  }

  /**
   * Another transaction looks at the newest state. A snapshot is taken at the first read, so what it was before the lock does not
   * count: but it was read under the locks.
   */
  async #checkUnchanged(client: Client, seen: ReadonlyMap<number, unknown>): Promise<void> {
    const answer = await client.attempt(
      () => client.store.transact((tx) => tx.getMany([...seen.keys()].map(keyOf))),
      false,
    );
    if (answer.outcome === 'fault') return;
    for (const [index, [key, value]] of [...seen].entries()) {
      const now = answer.value[index];
      check(
        now === value,
        'locks: what is locked does not change',
        () => `key ${key} was ${JSON.stringify(value)}, now ${JSON.stringify(now)}`,
      );
    }
  }
}

interface Wish {
  readonly from: number;
  readonly to: number;
  readonly mode: 'shared' | 'exclusive';
  readonly timeoutMs: number | undefined;
}

interface Holding extends Wish {
  readonly owner: number;
}

/** Who holds what in one process, as far as its clients know. */
class Fight {
  readonly #held = new Set<Holding>();
  readonly #arrived: number[] = [];
  #tickets = 0;

  hold(owner: number, wish: Wish): Holding {
    const holding = { ...wish, owner };
    for (const other of this.#held) {
      const apart = other.to <= wish.from || wish.to <= other.from;
      const shared = other.mode === 'shared' && wish.mode === 'shared';
      check(
        other.owner === owner || apart || shared,
        'locks: nobody holds what another holds exclusively',
        () =>
          `client ${owner} got ${wish.mode} ${wish.from} to ${wish.to - 1}, while client ${other.owner} holds ${other.from} to ${other.to - 1}`,
      );
    }
    this.#held.add(holding);
    return holding;
  }

  release(holding: Holding): void {
    this.#held.delete(holding);
  }

  arrive(): number {
    this.#arrived.push(++this.#tickets);
    return this.#tickets;
  }

  pass(ticket: number): void {
    const [first] = this.#arrived;
    check(
      first === ticket,
      'locks: waiters are served in order',
      () => `number ${ticket} passed before number ${first}`,
    );
  }

  leave(ticket: number): void {
    const place = this.#arrived.indexOf(ticket);
    if (place !== -1) this.#arrived.splice(place, 1);
  }
}

const turnstile: Key = ['locks', 'turnstile'];

function keyOf(key: number): Key {
  return ['locks', 'key', key];
}
