import { describe, expect, test } from 'vitest';
import { Marks } from './marks.ts';
import { planOf } from './plan.ts';
import { type Result, simulate } from './simulation.ts';
import { workloadNames } from './workloads/all-workloads.ts';

describe('the smoke', () => {
  const results: Result[] = [];
  const marks = new Marks();

  // Some seconds on a machine that has nothing else to do.
  test('simulate finds every promise kept in a few dozen runs over all workloads', { timeout: 300_000 }, async () => {
    for (const name of workloadNames) results.push(await simulate(planOf(1, 2_000, { workloads: [name] })));
    for (let seed = 1; seed <= 32; seed++) results.push(await simulate(planOf(seed, 3_000)));
    for (const { marks: reached } of results) marks.addAll(reached);
    // Whatever changes the engine changes which seed reaches what is rarest.
    for (let seed = 33; seed <= 200 && marks.missing.length > 0; seed++) {
      const result = await simulate(planOf(seed, 3_000));
      results.push(result);
      marks.addAll(result.marks);
    }
    for (const { plan, failure } of results) {
      expect(failure, `seed ${plan.seed} of ${plan.workloads.join(', ')}`).toBeUndefined();
    }
  });

  test('simulate reaches every mark on the way', () => {
    expect(marks.missing).toEqual([]);
  });
});

test('simulate does the same for the same plan, and tells the same story', async () => {
  const plan = planOf(7, 2_000);
  const [first, second] = [await simulate(plan, { told: true }), await simulate(plan, { told: true })];
  expect(first).toEqual(second);
  expect(first.story.length).toBeGreaterThan(1_000);
  expect((await simulate(plan)).digest).toBe(first.digest);
});

test('planOf lets each seed choose, and gives way to what is asked', () => {
  const plans = Array.from({ length: 60 }, (_, seed) => planOf(seed, 1));
  expect(new Set(plans.flatMap(({ workloads }) => workloads))).toEqual(new Set(workloadNames));
  expect(new Set(plans.map(({ workloads }) => workloads.length))).toEqual(new Set([1, 2, 3]));
  expect(planOf(1, 5, { workloads: ['ring'], clients: 9 })).toMatchObject({
    steps: 5,
    workloads: ['ring'],
    clients: 9,
  });
});
