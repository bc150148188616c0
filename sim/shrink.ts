import type { Changes } from './arguments.ts';
import { faults, type Plan, planOf } from './plan.ts';
import { type Result, simulate } from './simulation.ts';

export interface Shrunk {
  readonly result: Result;
  readonly changes: Changes;
}

/**
 * The same failure in less: fewer workloads, faults, clients, operations and steps. Greedy: whatever can go without changing
 * which check fails, goes; and again, until nothing can.
 */
export async function shrink(failed: Result): Promise<Shrunk> {
  const { seed } = failed.plan;
  let best = failed;
  let changes: Changes = pick(failed.plan);
  const attempt = async (steps: number, changed: Changes): Promise<boolean> => {
    const result = await simulate(planOf(seed, steps, changed));
    if (result.failure?.check !== failed.failure?.check) return false;
    [best, changes] = [result, changed];
    return true;
  };
  for (let before = ''; before !== JSON.stringify([best.plan, best.steps]);) {
    before = JSON.stringify([best.plan, best.steps]);
    for (const { steps, ...smaller } of smallerThan(best)) {
      if (await attempt(steps, { ...changes, ...smaller })) break;
    }
  }
  return { result: await simulate(planOf(seed, best.plan.steps, changes), { told: true }), changes };
}

function pick({ workloads, clients, operations, without }: Plan): Changes {
  return { workloads, clients, operations, without };
}

/** Each a little less, the largest savings first. */
function* smallerThan({ plan, steps }: Result): Generator<Changes & { readonly steps: number }> {
  const { workloads, clients, operations, without } = plan;
  for (const gone of workloads) {
    if (workloads.length > 1) yield { steps: plan.steps, workloads: workloads.filter((name) => name !== gone) };
  }
  for (const factor of [0.25, 0.5, 0.75, 0.9, 0.97, 1]) {
    const fewer = Math.floor(Math.min(steps, plan.steps) * factor);
    if (fewer < plan.steps) yield { steps: fewer };
  }
  for (const fault of faults) if (!without.includes(fault)) yield { steps: plan.steps, without: [...without, fault] };
  for (const fewer of new Set([1, Math.floor(clients / 2), clients - 1])) {
    if (fewer >= 1 && fewer < clients) yield { steps: plan.steps, clients: fewer };
  }
  const most = Math.min(operations, steps);
  for (const factor of [0.1, 0.3, 0.6, 0.9]) {
    const fewer = Math.floor(most * factor);
    if (fewer >= 1 && fewer < operations) yield { steps: plan.steps, operations: fewer };
  }
  if (most > 1 && most < 10) yield { steps: plan.steps, operations: most - 1 };
}
