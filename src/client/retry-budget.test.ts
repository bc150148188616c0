import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ManualWorld } from '../testing/manual-world.ts';
import { RetryBudget } from './retry-budget.ts';

test('RetryBudget lets through a share of the calls and the reserve, and more again when they are ten seconds old', async () => {
  const world = new ManualWorld();
  const budget = new RetryBudget(world, { share: 0.2, reserve: 3 });
  for (let calls = 0; calls < 50; calls++) budget.addCall();
  const taken = () => Array.from({ length: 100 }, () => budget.takeRetry()).filter(Boolean).length;
  expect(taken()).toBe(13);
  await world.advance(9_000);
  expect(taken()).toBe(0);
  await world.advance(1_000);
  expect(taken()).toBe(3);
});

test('RetryBudget gives nothing when nothing is allowed', () => {
  const budget = new RetryBudget(new ManualWorld(), { share: 0, reserve: 0 });
  budget.addCall();
  expect(budget.takeRetry()).toBe(false);
});

test('RetryBudget keeps its promise in every window, and refuses no retry that fits it', async () => {
  const step = fc.oneof(
    fc.constant({ act: 'call' as const, byMs: 0 }),
    fc.constant({ act: 'retry' as const, byMs: 0 }),
    fc.record({ act: fc.constant('wait' as const), byMs: fc.integer({ min: 1, max: 15_000 }) }),
  );
  const property = fc.asyncProperty(fc.array(step, { maxLength: 200 }), async (steps) => {
    const world = new ManualWorld();
    const [share, reserve] = [0.5, 2];
    const budget = new RetryBudget(world, { share, reserve });
    const calls: number[] = [];
    const retries: number[] = [];
    for (const { act, byMs } of steps) {
      // Whole seconds are what the budget counts in.
      const since = Math.floor(world.monotonicMs() / 1_000) - 9;
      const recent = (times: readonly number[]) => times.filter((atMs) => Math.floor(atMs / 1_000) >= since).length;
      if (act === 'wait') await world.advance(byMs);
      if (act === 'call') {
        budget.addCall();
        calls.push(world.monotonicMs());
      }
      if (act === 'retry') {
        const fits = recent(retries) + 1 <= share * recent(calls) + reserve;
        expect(budget.takeRetry()).toBe(fits);
        if (fits) retries.push(world.monotonicMs());
      }
    }
  });
  await fc.assert(property, { numRuns: 50 });
});
