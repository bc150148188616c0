import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { barChart } from './bar-chart.ts';
import { judge, spread, type Verdict } from './judge.ts';
import type { Figures, Measuring } from './measure.ts';
import { ratioText, thousands } from './report.ts';

/** Writes performance.md and a picture a claim into a directory of documents. */
export function writePage(
  docs: string,
  measured: readonly Figures[],
  measuring: Measuring,
  machine: readonly string[],
): void {
  const pictures = join(docs, 'performance');
  mkdirSync(pictures, { recursive: true });
  for (const figures of measured) writeFileSync(join(pictures, `${figures.claim.name}.svg`), barChart(figures));
  writeFileSync(join(docs, 'performance.md'), page(measured, measuring, machine));
}

function page(measured: readonly Figures[], { rounds, turnMs }: Measuring, machine: readonly string[]): string {
  const parts = [
    '# Performance',
    '<!-- Written by `npm run bench -- --write`; what it says stands in bench/. -->',
    `How fast Semel is beside others that do the same work, and what limits it. No absolute figure is a claim: it is of one
machine at one moment. The ratios are, each taken between contenders that took turns, ${rounds} rounds of ${turnMs} ms a turn,
each in a process of its own. What every contender did was verified after each turn. A figure is the median of its rounds, with
the least and the greatest in brackets; a ratio is taken round by round.`,
    `Peers are configured to be as fast as they can be while they keep the same promise; floors promise less or nothing, and show
what the work itself costs. \`npm run bench\` measures all of it again; how, stands in \`bench/\`, a file a claim.`,
    `What is said to limit a figure is read from profiles and reasoned, not
measured by itself. Where an expectation is not met, it says so.`,
    `Measured on (before, after):\n\n${machine.map((words) => `- ${words}`).join('\n')}`,
    ...measured.flatMap(claimParts),
  ];
  return `${parts.join('\n\n')}\n`;
}

function claimParts(figures: Figures): readonly string[] {
  const { claim } = figures;
  return [
    `## ${claim.title}`,
    claim.work,
    `![${claim.title}, ${claim.unit}](performance/${claim.name}.svg)`,
    verdictsTable(figures),
    `**What limits it.** ${claim.limitedBy}`,
    figuresTable(figures),
  ];
}

export function verdictsTable(figures: Figures): string {
  const rows = judge(figures).map(verdictRow);
  return ['| ratio | in flight | expected | measured | |', '| --- | --- | --- | --- | --- |', ...rows].join('\n');
}

export function figuresTable({ claim, rows }: Figures): string {
  const figureRows = rows.map(({ contender, inFlight, perSecond }) => {
    const { median, min, max } = spread(perSecond);
    return `| ${contender} | ${inFlight} | ${thousands(median)} (${thousands(min)} .. ${thousands(max)}) |`;
  });
  return [`| contender | in flight | ${claim.unit} |`, '| --- | --- | --- |', ...figureRows].join('\n');
}

function verdictRow(verdict: Verdict): string {
  const { subject, against, inFlight, atLeast, met } = verdict;
  const expected = atLeast === undefined ? '' : `at least ${atLeast}`;
  const judged = met === undefined ? '' : met ? 'met' : '**not met**';
  return `| ${subject} / ${against} | ${inFlight} | ${expected} | ${ratioText(verdict)} | ${judged} |`;
}
