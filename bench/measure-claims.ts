import type { Claim } from './claim.ts';
import { describeMachine } from './machine.ts';
import { type Figures, measure, type Measuring } from './measure.ts';
import { reportLines } from './report.ts';

export interface Session {
  readonly measured: readonly Figures[];
  /** Before and after. */
  readonly machine: readonly string[];
}

/** One claim after the other, each told as soon as it is measured. */
export async function measureClaims(claims: readonly Claim[], measuring: Measuring): Promise<Session> {
  const before = describeMachine();
  console.log(before);
  const measured: Figures[] = [];
  for (const claim of claims) {
    const figures = await measure(claim, measuring);
    console.log(`\n${reportLines(figures).join('\n')}`);
    measured.push(figures);
  }
  const after = describeMachine();
  console.log(`\n${after}`);
  return { measured, machine: [before, after] };
}
