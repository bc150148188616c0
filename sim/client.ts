import type { EmbeddedStore } from '../src/engines/embedded/embedded.ts';
import { type Effect, type ErrorCode, SemelError } from '../src/kv/errors.ts';
import type { Key } from '../src/kv/key.ts';
import { limits } from '../src/kv/limits.ts';
import type { ReadOptions, ReadTransaction, Transaction, TransactOptions } from '../src/kv/store.ts';
import type { SimulatedWorld } from '../src/testing/simulated-world.ts';
import type { Receipt } from './receipt.ts';
import type { Seeded } from './seeded.ts';
import type { Story } from './story.ts';

/** What became of a call. */
export type Answer<T> =
  | { readonly outcome: 'done'; readonly value: T }
  | { readonly outcome: 'fault'; readonly code: ErrorCode; readonly effect: Effect };

/** What a client needs of the process that it talks to. */
export interface Service {
  readonly store: EmbeddedStore;
  readonly world: SimulatedWorld;
  readonly story: Story;
  /** Whether clients may lose patience. */
  readonly impatience: boolean;
  /** Whether clients should begin anything. */
  readonly open: boolean;
  /** Notes a fault that a client was told. @throws CheckFailed where it should not have been */
  judge(fault: SemelError, wasImpatient: boolean): void;
  /** The invariants of all workloads, in a copy of the store. @throws CheckFailed */
  checkCopy(tx: ReadTransaction): Promise<void>;
  /** Whether a failure is one that was armed. */
  isArmed(error: unknown): boolean;
  /** A command was answered that its commit is unknown. @throws CheckFailed where it should not have been */
  judgeUnknown(wasImpatient: boolean): void;
  readonly witness: Witness;
}

export interface Witness {
  version(version: string): void;
  began(): { readonly now: number };
  saw(now: number, began: { readonly now: number }): void;
  acknowledged(now: number, wrote: boolean): void;
}

/** One client of one workload, in the life of one process. */
export class Client {
  readonly number: number;
  readonly random: Seeded;
  readonly service: Service;

  constructor(number: number, random: Seeded, service: Service) {
    this.number = number;
    this.random = random;
    this.service = service;
  }

  get store(): EmbeddedStore {
    return this.service.store;
  }

  get world(): SimulatedWorld {
    return this.service.world;
  }

  tell(line: () => string): void {
    this.service.story.tell(() => `client ${this.number} ${line()}`);
  }

  /** Lets others go on, now and then for longer. */
  async rest(): Promise<void> {
    const way = this.random.fraction();
    if (way < 0.3) return;
    if (way < 0.6) return new Promise((resolve) => this.world.defer(resolve));
    return this.world.pause(this.random.fraction() * (way < 0.97 ? 0.3 : 5));
  }

  /** Now and then more than a sector of a disk, so that a commit may be there by half. */
  padding(): string {
    return 'x'.repeat(this.random.chance(0.8) ? 0 : this.random.integer(100, 1_800));
  }

  pause(delayMs: number): Promise<void> {
    return this.world.pause(delayMs);
  }

  /** A transaction, its faults judged. What `body` throws on its own account passes through. */
  transact<T>(body: (tx: Transaction) => Promise<T>, options: TransactOptions = {}): Promise<Answer<T>> {
    // A version is an attempt's own whether it commits or not, and whether the process lives or not.
    const asks = this.random.chance(0.3);
    const asking = (tx: Transaction): Promise<T> => {
      if (asks) this.service.witness.version(tx.version);
      return body(tx);
    };
    return this.#transact(asking, options, this.#impatience(), false);
  }

  /** The same, and nobody asks for its version. */
  transactUnasked<T>(body: (tx: Transaction) => Promise<T>): Promise<Answer<T>> {
    return this.#transact(body, {}, this.#impatience(), true);
  }

  /** The same, for what would lose its meaning if its caller left. */
  transactPatiently<T>(body: (tx: Transaction) => Promise<T>, options: TransactOptions = {}): Promise<Answer<T>> {
    return this.#transact(body, options, undefined, false);
  }

  async #transact<T>(
    body: (tx: Transaction) => Promise<T>,
    options: TransactOptions,
    impatience: ReadOptions | undefined,
    writes: boolean,
  ): Promise<Answer<T>> {
    const { witness } = this.service;
    const began = witness.began();
    let now = 0;
    const answer = await this.attempt(
      () =>
        this.store.transact(
          async (tx) => {
            const value = await body(tx);
            ({ now } = tx);
            witness.saw(now, began);
            return value;
          },
          {
            label: `client ${this.number}`,
            attemptsMax: impatience === undefined ? limits.attemptsMax : 1,
            ...options,
            ...impatience,
          },
        ),
      impatience !== undefined,
    );
    if (answer.outcome === 'done') witness.acknowledged(now, writes);
    return answer;
  }

  async read<T>(body: (tx: ReadTransaction) => Promise<T>): Promise<Answer<T>> {
    const { witness } = this.service;
    const began = witness.began();
    return this.attempt(
      () =>
        this.store.read((tx) => {
          witness.saw(tx.now, began);
          return body(tx);
        }),
      false,
    );
  }

  /** A checkpoint may fail where the disk does, and then the log has everything still. */
  async checkpoint(): Promise<void> {
    try {
      await this.store.checkpoint();
    } catch (error) {
      if (error instanceof SemelError || !this.service.isArmed(error)) throw error;
      this.tell(() => `gets no checkpoint: ${String(error)}`);
    }
  }

  async attempt<T>(act: () => Promise<T>, wasImpatient: boolean): Promise<Answer<T>> {
    try {
      return { outcome: 'done', value: await act() };
    } catch (error) {
      if (!(error instanceof SemelError)) throw error;
      this.tell(() => `is told ${error.code}: ${error.message}`);
      this.service.judge(error, wasImpatient);
      return { outcome: 'fault', code: error.code, effect: error.effect };
    }
  }

  /** One operation that leaves a receipt; first the last one is settled, if that is in doubt. Answers what became of it. */
  async operate<T>(
    receipt: Receipt,
    key: Key,
    body: (tx: Transaction, number: number) => Promise<T>,
    options?: TransactOptions,
  ): Promise<Answer<T> | undefined> {
    if (receipt.inDoubt && !(await this.#settle(receipt, key))) return undefined;
    const number = receipt.begin();
    try {
      const answer = await this.#transact((tx) => body(tx, number), options ?? {}, this.#impatience(), true);
      receipt.end(answer.outcome === 'done' ? 'happened' : answer.effect);
      return answer;
    } catch (error) {
      receipt.end('did-not-happen');
      throw error;
    }
  }

  async #settle(receipt: Receipt, key: Key): Promise<boolean> {
    const answer = await this.attempt(
      () =>
        this.store.transact(async (tx) => Number((await tx.get(key)) ?? 0), { label: `client ${this.number} asks` }),
      false,
    );
    if (answer.outcome === 'fault') return false;
    receipt.settle(answer.value);
    return true;
  }

  #impatience(): ReadOptions | undefined {
    if (!this.service.impatience || !this.random.chance(0.15)) return undefined;
    const afterMs = this.random.fraction() ** 3 * 20;
    if (this.random.chance(0.5)) return { timeoutMs: afterMs };
    const controller = new AbortController();
    this.world.after(afterMs, () => controller.abort());
    return { signal: controller.signal };
  }
}
