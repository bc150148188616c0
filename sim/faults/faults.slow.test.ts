import { join } from 'node:path';
import process from 'node:process';
import { expect, test } from 'vitest';
import { faultClasses } from './fault.ts';
import { missingTools } from './missing-tools.ts';
import { scenarioNames } from './scenario.ts';
import { sweep } from './sweep.ts';

/** Where strace is missing the tests show as skipped, and say why; in continuous integration they fail instead. */
const missing = await missingTools();
const isForced = process.env['CI'] !== undefined;
if (missing.length > 0) {
  console.warn(
    `NOT TRIED: no real fault was injected, since ${missing.join(' and ')} cannot be run here (apt-get install strace)`,
  );
}

/** Coprime to whatever repeats in a run, so that over time each kind of call is struck. `npm run faults` takes every one. */
const step = 17;

/** Those that strike what a commit, a segment and a checkpoint become durable by. `npm run faults` takes all. */
const classes = faultClasses.filter(({ name }) =>
  [
    'fdatasync kill',
    'fdatasync EIO',
    'fsync kill',
    'fsync EIO',
    'pwrite64 kill',
    'pwrite64 EIO',
    'pwrite64 ENOSPC on',
    'openat kill',
    'rename kill',
    'unlink kill',
    'file size limit',
  ].includes(name),
);

test.for(classes)('openStore recovers what was acknowledged, after $name', async (faultClass, { skip }) => {
  if (missing.length > 0 && !isForced) skip(`${missing.join(' and ')} cannot be run here`);
  expect(missing).toEqual([]);
  const counts = [];
  for (const scenario of scenarioNames) {
    const { struck, violations } = await sweep(faultClass, { scenario, step });
    expect(violations).toEqual([]);
    counts.push(struck);
  }
  // A class that strikes nowhere attacks nothing.
  expect(Math.max(...counts)).toBeGreaterThan(0);
});

test('a sweep finds the engine wrong that acknowledges before it has written', async ({ skip }) => {
  if (missing.length > 0 && !isForced) skip(`${missing.join(' and ')} cannot be run here`);
  const kills = faultClasses.find(({ name }) => name === 'pwrite64 kill');
  const childPath = join(import.meta.dirname, 'wrong', 'early-acknowledgement.ts');
  const result = kills && (await sweep(kills, { scenario: 'fresh', childPath, step: 5 }));
  const found = result?.violations.flatMap(({ run }) => run.violations) ?? [];
  expect(found.filter((violation) => violation.includes('was acknowledged, and the store has them up to'))).not.toEqual(
    [],
  );
});
