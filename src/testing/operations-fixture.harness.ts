import { openStore, type EmbeddedStore } from '../engines/embedded/embedded.ts';
import type { Key } from '../kv/key.ts';
import type { Transaction } from '../kv/store.ts';
import type { Value } from '../kv/value.ts';
import { claim, complete, fingerprint, retentionPolicy, type Identity } from '../layers/idempotency/idempotency.ts';
import {
  createOperations,
  type Execution,
  type OperationEvent,
  type Operations,
  type OperationsOptions,
  type Outcome,
} from '../operations/operations.ts';
import { ManualWorld, until } from './manual-world.ts';

/** A store in memory, operations on it, and a handler that counts in the store and beside it. */
export class OperationsFixture {
  readonly world: ManualWorld;
  readonly events: OperationEvent[] = [];
  readonly store: EmbeddedStore;
  operations: Operations;
  /** How often the handlers ran. */
  executions = 0;

  private constructor(store: EmbeddedStore, world: ManualWorld) {
    this.store = store;
    this.world = world;
    this.operations = this.open();
  }

  static async create(): Promise<OperationsFixture> {
    const world = new ManualWorld();
    return new OperationsFixture(await openStore({ world }), world);
  }

  /** Another door on the same store. */
  open(options: OperationsOptions = {}): Operations {
    const { world, events } = this;
    return createOperations(this.store, { world, onEvent: (event) => events.push(event), ...options });
  }

  increment(keep: Execution['keep'], gate?: Promise<void>): (tx: Transaction) => Promise<Execution> {
    return async (tx) => {
      this.executions += 1;
      const count = Number((await tx.get(counter)) ?? 0) + 1;
      await gate;
      tx.set(counter, count);
      return { keep, result: { count } };
    };
  }

  /** An execution that has begun, and ends when it is told to. */
  async inFlight(key: string, keep: Execution['keep'] = 'all'): Promise<{ finish: () => Promise<Outcome> }> {
    const gate = Promise.withResolvers<void>();
    const run = this.operations.run(identityOf(key), this.increment(keep, gate.promise));
    await until(() => this.executions === 1);
    return {
      finish: () => {
        gate.resolve();
        return run;
      },
    };
  }

  /** A claim of which the table of this process knows nothing. */
  async elsewhere(key: string): Promise<{ finish: () => Promise<void> }> {
    const gate = Promise.withResolvers<void>();
    const claimed = Promise.withResolvers<void>();
    const done = this.store.transact(async (tx) => {
      const answer = await claim(tx, identityOf(key), { policy: retentionPolicy() });
      claimed.resolve();
      await gate.promise;
      if (answer.state === 'absent') complete(tx, answer.claim, { result: 'elsewhere', elapsedMs: 0 });
    });
    await claimed.promise;
    return {
      finish: () => {
        gate.resolve();
        return done;
      },
    };
  }

  read(key: Key): Promise<Value | undefined> {
    return this.store.read((tx) => tx.get(key));
  }

  entries(): Promise<number> {
    return this.store.read(async (tx) => {
      let count = 0;
      for await (const _ of tx.scan({})) count += 1;
      return count;
    });
  }
}

/** What `increment` counts up. */
export const counter: Key = ['counter'];

export function identityOf(key: string, payload = 'same'): Identity {
  const parts = { method: 'POST', path: '/', query: [], mediaType: undefined, body: Buffer.from(payload) };
  return { scope: 'acme', key, fingerprint: fingerprint(parts) };
}

export function constant(result: Value): () => Promise<Execution> {
  return async () => ({ keep: 'all', result });
}
