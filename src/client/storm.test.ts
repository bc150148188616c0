import { createFetch, type BudgetOptions, type Environment } from 'semel/client';
import { describe, expect, test } from 'vitest';
import { turn } from '../testing/manual-world.ts';

/*
 * Ten clients call a server at 60 % of what it can do. For eight seconds it can do a tenth of that; then it is as good as before.
 * Whether the service is, too, depends on the retries: a request waits in the server's queue behind those that nobody waits for any more.
 */
const clients = 10;
const callsPerSecond = 60;
const servedPerSecond = 100;
const queueMax = 200;
const incident = { fromMs: 5_000, toMs: 13_000 };
/** Ten seconds after the incident. Of the calls begun later some are still under way at the end. */
const afterwards = [23_000, 27_000] as const;
const endMs = 32_000;

describe('a storm', () => {
  test.for([1, 2])('a storm of retries without a budget outlives the incident that began it, seed %i', async (seed) => {
    const storm = await simulate(seed, { reserve: 1_000_000 });
    expect(storm.amplification(incident.fromMs, incident.toMs)).toBeGreaterThan(5);
    expect(storm.amplification(...afterwards)).toBeGreaterThan(5);
    expect(storm.answered(...afterwards)).toBeLessThan(0.1);
  });

  test.for([1, 2])('a storm is damped by the default budget, and the service recovers, seed %i', async (seed) => {
    const storm = await simulate(seed, {});
    // Each client makes 48 calls meanwhile, and the ten seconds before each moment allow it 0.2 x 60 + 10 retries.
    expect(storm.amplification(incident.fromMs, incident.toMs)).toBeLessThan(1 + 22 / 48 + 0.1);
    expect(storm.amplification(...afterwards)).toBeLessThan(1.01);
    expect(storm.answered(...afterwards)).toBeGreaterThan(0.99);
  });
});

interface Call {
  readonly atMs: number;
  attempts: number;
  answered: boolean;
}

async function simulate(seed: number, budget: BudgetOptions) {
  const world = new SimulatedWorld(seed);
  const server = new Server(world);
  const calls: Call[] = [];
  const arrive = (send: ReturnType<typeof createFetch>): void => {
    const call = { atMs: world.monotonicMs(), attempts: 0, answered: false };
    calls.push(call);
    const headers = { 'idempotency-key': `${calls.length - 1}` };
    void send('https://shop.test/orders', { method: 'POST', headers }).then(
      () => (call.answered = true),
      () => undefined,
    );
    world.after(world.exponential((clients / callsPerSecond) * 1_000), () => arrive(send));
  };
  for (let client = 0; client < clients; client++) {
    const fetch = (request: Request): Promise<Response> => {
      const call = calls[Number(request.headers.get('idempotency-key'))];
      if (call !== undefined) call.attempts += 1;
      return server.take();
    };
    arrive(createFetch({ environment: world, fetch, budget, attemptTimeoutMs: 1_000 }));
  }
  await world.run(endMs);
  const between = (fromMs: number, toMs: number) => calls.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
  return {
    /** Attempts for each call that began in this time. */
    amplification: (fromMs: number, toMs: number) => {
      const begun = between(fromMs, toMs);
      return begun.reduce((sum, { attempts }) => sum + attempts, 0) / begun.length;
    },
    /** The share of those calls that was answered well. */
    answered: (fromMs: number, toMs: number) => {
      const begun = between(fromMs, toMs);
      return begun.filter(({ answered }) => answered).length / begun.length;
    },
  };
}

/** One request after the other, in order, whether or not somebody still waits for the answer: a server cannot know. */
class Server {
  readonly #world: SimulatedWorld;
  readonly #queue: (() => void)[] = [];
  #busy = false;

  constructor(world: SimulatedWorld) {
    this.#world = world;
  }

  take(): Promise<Response> {
    if (this.#queue.length >= queueMax) return Promise.resolve(new Response(null, { status: 503 }));
    return new Promise((resolve) => {
      this.#queue.push(() => resolve(new Response(null, { status: 204 })));
      this.#serve();
    });
  }

  #serve(): void {
    const next = this.#busy ? undefined : this.#queue.shift();
    if (next === undefined) return;
    this.#busy = true;
    const nowMs = this.#world.monotonicMs();
    const slowed = nowMs >= incident.fromMs && nowMs < incident.toMs ? 10 : 1;
    this.#world.after((1_000 / servedPerSecond) * slowed, () => {
      this.#busy = false;
      next();
      this.#serve();
    });
  }
}

/** Time in whole milliseconds, which passes as soon as there is nothing to do in the present one. */
class SimulatedWorld implements Environment {
  readonly #agenda = new Map<number, Set<() => void>>();
  #nowMs = 0;
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, act: () => void): () => void {
    const atMs = this.#nowMs + Math.ceil(delayMs);
    const acts = this.#agenda.get(atMs) ?? new Set();
    this.#agenda.set(atMs, acts.add(act));
    return () => void acts.delete(act);
  }

  /** The generator of Numerical Recipes, which does for traffic. */
  random(): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#state / 2 ** 32;
  }

  exponential(mean: number): number {
    return -mean * Math.log(1 - this.random());
  }

  randomBytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => Math.floor(this.random() * 256));
  }

  async run(untilMs: number): Promise<void> {
    for (; this.#nowMs < untilMs; this.#nowMs++) {
      for (let acts = this.#agenda.get(this.#nowMs); acts !== undefined && acts.size > 0;) {
        for (const act of acts) {
          acts.delete(act);
          act();
        }
        await turn();
        acts = this.#agenda.get(this.#nowMs);
      }
      this.#agenda.delete(this.#nowMs);
    }
  }
}
