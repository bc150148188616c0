import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';

function sim(...argv: readonly string[]) {
  const program = join(import.meta.dirname, 'main.ts');
  return spawnSync(process.execPath, ['--conditions=semel-source', program, ...argv], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
}

test('npm run sim prints the same in two processes, whatever the time and however many work on it', () => {
  const [first, second] = [sim('--seeds', '1..6', '--steps', '2000'), sim('--seeds', '1..6', '--steps', '2000')];
  expect(first.status).toBe(0);
  expect(first.stdout).toBe(second.stdout);
  expect(first.stdout).toContain('6 seeds');
  const alone = sim('--seed', '3', '--steps', '2000').stdout.split('\n')[0] ?? '';
  expect(first.stdout.split('\n')).toContain(alone);
  const story = ['--seed', '3', '--steps', '500', '--story'];
  expect(sim(...story).stdout).toBe(sim(...story).stdout);
});

test.for([
  [['--seed', 'one'], '--seed is "one"; expected a whole number from 0'],
  [['--steps', '-1'], '--steps'],
  [['--seeds', '5'], '--seeds is "5"; expected two whole numbers'],
  [['--seeds', '5..4'], '--seeds is "4"; expected a whole number from 5'],
  [['--workload', 'rings'], '--workload has "rings"; expected ring, transfers'],
  [['--without', 'luck'], '--without has "luck"; expected power-cut'],
  [['--seed', '1', '--seeds', '1..2'], 'not both'],
  [['--speed', '1'], '--speed'],
] as const)('npm run sim refuses %j', ([argv, words]) => {
  const { status, stdout, stderr } = sim(...argv);
  expect(stderr).toContain(words);
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' });
});
