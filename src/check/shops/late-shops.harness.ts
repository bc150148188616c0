import type { Environment } from '../../client/environment.ts';
import { latency, problem, Shop, type Choices, type Kept, type Order, type Result } from './shop.harness.ts';

/** A shop that remembers a key for as long as it says, by the clock of the test. */
export class ForgettingShop extends Shop {
  protected readonly lifetimeMs: number;
  protected readonly environment: Environment;
  protected readonly keptUntilMs = new Map<string, number>();

  constructor(lifetimeMs: number, environment: Environment, choices: Partial<Choices> = {}) {
    super(choices);
    this.lifetimeMs = lifetimeMs;
    this.environment = environment;
  }

  protected override async find(key: string, order: Order): Promise<Kept | undefined> {
    if (this.isPast(key)) this.kept.delete(key);
    return super.find(key, order);
  }

  protected override claim(key: string, order: Order): void {
    this.keptUntilMs.set(key, this.environment.monotonicMs() + this.lifetimeMs);
    super.claim(key, order);
  }

  protected isLate(order: Order): boolean {
    return this.isPast(`${this.scopeOf(order)} ${this.keyOf(order.keys) ?? ''}`);
  }

  protected isPast(key: string): boolean {
    return this.environment.monotonicMs() >= (this.keptUntilMs.get(key) ?? Infinity);
  }
}

/** Remembers that there was a key longer than its result. */
export class TombstoneShop extends ForgettingShop {
  override async handle(order: Order): Promise<void> {
    if (this.isLate(order)) return this.answer(order, problem(410, 'it was done before'));
    return super.handle(order);
  }
}

/** Removes what is past, then looks again, and time between them. */
class ForgetsTwice extends ForgettingShop {
  protected override async find(key: string, order: Order): Promise<Kept | undefined> {
    if (!this.isPast(key)) return super.find(key, order);
    this.kept.delete(key);
    await latency();
    this.claim(key, order);
    return undefined;
  }
}

/** What is past is a fault of the program. */
class BreaksWhenPast extends ForgettingShop {
  override async handle(order: Order): Promise<void> {
    if (this.isLate(order)) return this.answer(order, problem(500, 'the result is not there'));
    return super.handle(order);
  }
}

/**
 * A claim is a lease, which is shorter than the work. Whoever comes after its end executes; and the late owner, who was never told, goes on to
 * its end, for nothing that it writes is fenced.
 */
export class UnfencedShop extends Shop {
  readonly #leases = new Map<string, AbortController>();

  protected override async find(key: string, order: Order): Promise<Kept | undefined> {
    const kept = this.kept.get(key);
    const lease = this.#leases.get(key);
    if (kept !== undefined && (kept.result !== undefined || lease?.signal.aborted !== true)) return kept;
    this.claim(key, order);
    return undefined;
  }

  protected override async execute(key: string, order: Order): Promise<Result> {
    const lease = new AbortController();
    this.#leases.set(key, lease);
    await rest(4);
    lease.abort();
    await rest(14);
    return super.execute(key, order);
  }
}

/** As slow, and its claims live as long as the process. */
export class SlowShop extends Shop {
  protected override async execute(key: string, order: Order): Promise<Result> {
    await rest(18);
    return super.execute(key, order);
  }
}

async function rest(times: number): Promise<void> {
  for (let rested = 0; rested < times; rested += 1) await latency();
}

export const lifetimeMs = 6_000;

export interface WrongLateShop {
  readonly defect: string;
  readonly open: (environment: Environment) => Shop;
  readonly foundBy: readonly string[];
}

export const wrongLateShops: readonly WrongLateShop[] = [
  {
    defect: 'a key is forgotten before its lifetime is over',
    open: (environment) => new ForgettingShop(lifetimeMs / 2, environment),
    foundBy: ['late-duplicate'],
  },
  {
    defect: 'a key that is past acts more than once',
    // Whoever waits for a claim that another replaced would wait for ever.
    open: (environment) => new ForgetsTwice(lifetimeMs, environment, { inFlight: 409 }),
    foundBy: ['expiry'],
  },
  {
    defect: 'a key that is past is a fault',
    open: (environment) => new BreaksWhenPast(lifetimeMs, environment),
    foundBy: ['expiry'],
  },
];
