import { judge, spread, type Verdict } from './judge.ts';
import type { Figures } from './measure.ts';

/** The figures of a claim as lines of text. */
export function reportLines(figures: Figures): readonly string[] {
  const { claim, rows } = figures;
  return [
    `${claim.title} (${claim.unit})`,
    ...rows.map(({ contender, inFlight, perSecond }) => {
      const { median, min, max } = spread(perSecond);
      const range = `${thousands(min)} .. ${thousands(max)}`;
      return `  ${String(inFlight).padStart(5)} in flight  ${contender.padEnd(34)}${thousands(median).padStart(11)}   ${range}`;
    }),
    ...judge(figures).map((verdict) => `  ${verdictText(verdict)}`),
  ];
}

function verdictText(verdict: Verdict): string {
  const { subject, against, inFlight, atLeast, met } = verdict;
  const words = `${subject} / ${against}, ${inFlight} in flight: ${ratioText(verdict)}`;
  if (met === undefined) return words;
  return `${words}, expected ${atLeast}: ${met ? 'met' : 'NOT MET'}`;
}

export function ratioText({ ratio }: Verdict): string {
  return `${ratio.median.toFixed(2)} (${ratio.min.toFixed(2)} .. ${ratio.max.toFixed(2)})`;
}

export function thousands(figure: number): string {
  return Math.round(figure).toLocaleString('en-US');
}
