import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { killClasses } from './kill-class.ts';
import { roundsMin, torturePostgres } from './torture.ts';

/** Services and a database are started in turn, on whatever machine this is. */
const timeoutMs = 300_000;

test(
  'torturePostgres finds two services over one database clean after kills of each class',
  { timeout: timeoutMs },
  async () => {
    const report = await torturePostgres({ rounds: roundsMin, seed: 20_260_701 });
    if (report.outcome === 'violated') throw report.violation;
    for (const killClass of killClasses) expect(report.tally.kills[killClass], `kills ${killClass}`).toBe(1);
    expect(report.tally.requests).toBeGreaterThan(report.tally.operations);
    expect(report.tally.replays).toBeGreaterThan(report.tally.operations);
  },
);

// The torture of the embedded store finds the other wrong services by the same rules. Which of its consequences shows first depends on how the machine schedules the kill, so each of them is a finding.
test.for([
  [
    'late-record',
    [
      'an operation is executed once',
      'each effect is there exactly once',
      'an answer is what the request must lead to',
      'every answer of an operation is the same',
      'what was answered is replayed',
    ],
  ],
] as const)('torturePostgres finds %s', { timeout: timeoutMs }, async ([name, rules]) => {
  const entry = join(import.meta.dirname, '..', 'wrong', `${name}.ts`);
  const report = await torturePostgres({ rounds: 2 * roundsMin, seed: 1, entry });
  expect(report.outcome).toBe('violated');
  if (report.outcome !== 'violated') return;
  rmSync(report.directory, { recursive: true });
  expect(rules).toContain(report.violation.rule);
});
