import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Figures, Measuring } from '../measure.ts';
import { figuresTable, verdictsTable } from '../performance-page.ts';

/** Writes performance-postgres.md into a directory of documents. */
export function writePage(
  docs: string,
  measured: readonly Figures[],
  measuring: Measuring,
  machine: readonly string[],
): void {
  writeFileSync(join(docs, 'performance-postgres.md'), page(measured, measuring, machine));
}

function page(measured: readonly Figures[], { rounds, turnMs }: Measuring, machine: readonly string[]): string {
  const parts = [
    '# Performance on PostgreSQL',
    '<!-- Written by `npm run bench:postgres -- --write`; what it says stands in bench/postgres/. -->',
    `No absolute figure is a claim: it is of one machine at one moment. The ratios are, each taken between contenders that took turns, ${rounds} rounds of
${turnMs} ms a turn, each in a process and a database of its own, on one server with its own settings, so that each commit waits for the disk. After each turn it was
counted in the database how often the work was executed; the run fails where that is not as often as it was answered. A figure is the median of its rounds, with
the least and the greatest in brackets; a ratio is taken round by round. Server and client share the machine.`,
    `Measured on (before, after):\n\n${machine.map((words) => `- ${words}`).join('\n')}`,
    ...measured.flatMap((figures) => [
      `## ${figures.claim.title}`,
      figures.claim.work,
      verdictsTable(figures),
      `**What limits it.** ${figures.claim.limitedBy}`,
      figuresTable(figures),
    ]),
  ];
  return `${parts.join('\n\n')}\n`;
}
