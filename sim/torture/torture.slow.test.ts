import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { killClasses } from './kill-point.ts';
import { roundsMin, torture } from './torture.ts';

/** Several processes are started in turn, on whatever machine this is. */
const timeoutMs = 300_000;

test('torture finds the service clean after kills of each class', { timeout: timeoutMs }, async () => {
  const report = await torture({ rounds: 2 * roundsMin, seed: 20_260_701 });
  if (report.outcome === 'violated') throw report.violation;
  for (const killClass of killClasses) {
    expect(report.tally.kills[killClass], `kills ${killClass}`).toBeGreaterThanOrEqual(2);
  }
  expect(report.tally.requests).toBeGreaterThan(report.tally.operations);
  expect(report.tally.replays).toBeGreaterThan(report.tally.operations);
});

describe('a wrong service', () => {
  const durability = [
    'what was answered is complete',
    'an answer that has begun is complete',
    'what was written when the process died is there',
    'a write that was cut leaves a torn tail',
    'each effect is there exactly once',
  ];

  // Which of its consequences shows first depends on how the machine schedules the kill, so each of them is a finding.
  test.for([
    ['early-answer', durability],
    [
      'no-record',
      [
        ...durability,
        'an operation is executed once',
        'what was answered is replayed',
        'every answer of an operation is the same',
      ],
    ],
    ['late-record', [...durability, 'an answer is what the request must lead to']],
    ['double-effect', ['each effect is there exactly once']],
    ['altered-replay', ['every answer of an operation is the same']],
  ] as const)('torture finds %s', { timeout: timeoutMs }, async ([name, rules]) => {
    const entry = join(import.meta.dirname, 'wrong', `${name}.ts`);
    const report = await torture({ rounds: 2 * roundsMin, seed: 1, entry });
    expect(report.outcome).toBe('violated');
    if (report.outcome !== 'violated') return;
    rmSync(report.directory, { recursive: true });
    expect(rules).toContain(report.violation.rule);
    expect(report.round).toBeGreaterThan(0);
  });
});

describe('main', () => {
  const run = (...flags: readonly string[]) =>
    spawnSync(process.execPath, ['--conditions=semel-source', join(import.meta.dirname, 'main.ts'), ...flags], {
      encoding: 'utf8',
    });

  test.for([
    ['--rounds', '3', '--rounds is "3"; expected a whole number from 10'],
    ['--seed', 'x', '--seed is "x"; expected a whole number from 0'],
    ['--speed', '9', "Unknown option '--speed'"],
  ] as const)('main refuses %s %s by name, with exit code 2', ([flag, value, reason]) => {
    const { status, stderr, stdout } = run(flag, value);
    expect(stderr).toContain(reason);
    expect(stdout).toBe('');
    expect(status).toBe(2);
  });
});
