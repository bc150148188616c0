import { join } from 'node:path';
import type { FaultClass } from './fault.ts';
import { runFaulty, type FaultyRun } from './faulty-run.ts';
import { type ScenarioName, withScenario } from './scenario.ts';

export const shippedChild = join(import.meta.dirname, 'child.ts');

export interface SweepOptions {
  readonly scenario: ScenarioName;
  readonly childPath?: string;
  /** From `first` in steps of `step`; default: every one. */
  readonly first?: number;
  readonly step?: number;
  readonly onRun?: (n: number, run: FaultyRun) => void;
}

export interface SweepResult {
  /** How many runs had an n-th call, and so a fault. */
  readonly struck: number;
  readonly violations: readonly { readonly n: number; readonly run: FaultyRun }[];
}

/** Faults of one class at n = 1, 2, 3 …, until a run has no n-th. */
export async function sweep(
  { strike }: FaultClass,
  { scenario, childPath = shippedChild, first = 1, step = 1, onRun }: SweepOptions,
): Promise<SweepResult> {
  const violations: SweepResult['violations'][number][] = [];
  for (let struck = 0; ; struck++) {
    const n = first + struck * step;
    const run = await withScenario(scenario, (prepared) => runFaulty(childPath, { strike, n }, prepared));
    onRun?.(n, run);
    if (run.violations.length > 0) violations.push({ n, run });
    if (!run.struck) return { struck, violations };
  }
}
