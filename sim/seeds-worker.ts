import { parentPort } from 'node:worker_threads';
import { planOf } from './plan.ts';
import type { Batch } from './seeds.ts';
import { simulate } from './simulation.ts';

/** Runs one seed after the other, as it is told. */
parentPort?.on('message', ({ from, steps, changes }: Batch) => {
  // oxlint-disable-next-line require-post-message-target-origin -- a port of a worker has no origin
  void simulate(planOf(from, steps, changes)).then((result) => parentPort?.postMessage(result));
});
