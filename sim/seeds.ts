import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Changes } from './arguments.ts';
import { planOf } from './plan.ts';
import { type Result, simulate } from './simulation.ts';

export interface Batch {
  readonly from: number;
  readonly to: number;
  readonly steps: number;
  readonly changes: Changes;
}

/** The results of many seeds in the order of the seeds, worked out on all cores. */
export async function* simulateSeeds({ from, to, steps, changes }: Batch): AsyncGenerator<Result> {
  if (to - from < 2) {
    for (let seed = from; seed <= to; seed += 1) yield await simulate(planOf(seed, steps, changes));
    return;
  }
  const workers = Array.from({ length: Math.min(availableParallelism(), to - from + 1) }, () => new SeedWorker());
  const results = new Map<number, Promise<Result>>();
  let next = from;
  const work = (worker: SeedWorker): void => {
    const seed = next++;
    if (seed > to) return;
    const result = worker.simulate({ from: seed, to: seed, steps, changes });
    results.set(seed, result);
    // Whoever takes the result hears of a failure.
    result.then(
      () => work(worker),
      () => undefined,
    );
  };
  try {
    for (const worker of workers) work(worker);
    for (let seed = from; seed <= to; seed += 1) {
      // Seeds are given out in order, so one that was not given out yet follows the end of another.
      while (!results.has(seed)) await Promise.race(results.values());
      const result = results.get(seed);
      if (result !== undefined) yield await result;
      results.delete(seed);
    }
  } finally {
    await Promise.all(workers.map((worker) => worker.end()));
  }
}

class SeedWorker {
  readonly #worker = new Worker(new URL('seeds-worker.ts', import.meta.url));

  simulate(batch: Batch): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#worker.once('error', reject);
      this.#worker.once('message', (result: Result) => {
        this.#worker.off('error', reject);
        resolve(result);
      });
      // oxlint-disable-next-line require-post-message-target-origin -- a worker has no origin
      this.#worker.postMessage(batch);
    });
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }
}
