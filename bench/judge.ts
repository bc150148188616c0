import type { Expectation } from './claim.ts';
import type { Figures, Row } from './measure.ts';

/** A ratio, taken round by round, so that what the machine did to a round it did to both. */
export interface Verdict {
  readonly subject: string;
  readonly against: string;
  readonly inFlight: number;
  readonly ratio: Spread;
  readonly atLeast: number | undefined;
  /** `undefined` where nothing was expected. */
  readonly met: boolean | undefined;
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function judge(figures: Figures): readonly Verdict[] {
  return figures.claim.expectations.flatMap((expectation) =>
    expectation.inFlight.map((inFlight) => judgeAt(figures, expectation, inFlight)),
  );
}

function judgeAt({ rows }: Figures, expectation: Expectation, inFlight: number): Verdict {
  const rowOf = (name: string): Row => {
    const row = rows.find(({ contender, inFlight: at }) => contender === name && at === inFlight);
    if (row === undefined) throw new Error(`${name} was not measured at ${inFlight} in flight`);
    return row;
  };
  const subject = rowOf(expectation.subject);
  const [first, ...others] = expectation.against.map(rowOf);
  if (first === undefined) throw new Error(`${expectation.subject} is compared with nothing`);
  const best = others.reduce((a, b) => (median(b) > median(a) ? b : a), first);
  const ratio = spread(subject.perSecond.map((rate, round) => rate / (best.perSecond[round] ?? NaN)));
  const { atLeast } = expectation;
  const met = atLeast === undefined ? undefined : ratio.median >= atLeast;
  return { subject: subject.contender, against: best.contender, inFlight, ratio, atLeast, met };
}

function median(row: Row): number {
  return spread(row.perSecond).median;
}

export function spread(figures: readonly number[]): Spread {
  const ordered = figures.toSorted((a, b) => a - b);
  const at = (index: number): number => ordered[index] ?? NaN;
  const middle = (ordered.length - 1) / 2;
  return {
    median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2,
    min: at(0),
    max: at(ordered.length - 1),
  };
}
