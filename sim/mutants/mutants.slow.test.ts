import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { MutantCopy } from './mutant-copy.ts';
import { mutants } from './mutants.ts';

function hunt(...argv: readonly string[]) {
  const program = join(import.meta.dirname, 'main.ts');
  return spawnSync(process.execPath, ['--conditions=semel-source', program, ...argv], { encoding: 'utf8' });
}

test('sim:mutants catches a mutant, and says by what', () => {
  const { status, stdout } = hunt('--only', 'early acknowledgement', '--seeds', '10');
  expect(stdout).toMatch(/^early acknowledgement: caught by .*, seed \d+, after \d+ events: /);
  expect(stdout).toContain('1 mutants, 0 survived');
  expect(status).toBe(0);
});

test('sim:mutants fails when one survives', () => {
  const { status, stdout } = hunt('--only', 'lost mark taken for damage', '--seeds', '1', '--steps', '1');
  expect(stdout).toContain('lost mark taken for damage: SURVIVED');
  expect(status).toBe(1);
});

test.for([
  ['--only', 'nothing of that name'],
  ['--seeds', '0'],
])('sim:mutants refuses %s %s', (argv) => {
  expect(hunt(...argv)).toMatchObject({ status: 2, stdout: '' });
});

test('npm run sim shrinks what fails to a short story, and the command that it gives tells the same one', () => {
  const mutant = mutants.find(({ name }) => name === 'commit passes by locks');
  if (mutant === undefined) throw new Error('the mutant is gone');
  const copy = new MutantCopy(mutant);
  try {
    let [argv, story] = ['', ''];
    for (let seed = 1; seed <= 20 && story === ''; seed++) {
      const stdout = copy.simulate(['--seed', `${seed}`, '--workload', 'locks', '--steps', '3000'], 120_000);
      [, argv = '', story = ''] = /again by: npm run sim -- (.*) --story\n\n([^]*)$/.exec(stdout) ?? [];
    }
    expect(story).toContain('FAILED ');
    expect(story.split('\n').length).toBeLessThan(1_000);
    expect(copy.simulate([...argv.split(' '), '--story'], 120_000)).toBe(story);
  } finally {
    copy.remove();
  }
});
