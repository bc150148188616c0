import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { applyMutant } from './apply-mutant.ts';
import { mutants } from './mutants.ts';

const source = join(import.meta.dirname, '..', '..', 'src');

test.for(mutants.map((mutant) => [mutant.name, mutant] as const))('applyMutant finds the line of %o', ([, mutant]) => {
  const before = readFileSync(join(source, mutant.file), 'utf8');
  expect(applyMutant(mutant, before)).not.toBe(before);
});

test('mutants are at least 25, each with a name of its own', () => {
  const names = mutants.map(({ name }) => name);
  expect(names.length).toBeGreaterThanOrEqual(25);
  expect(new Set(names).size).toBe(names.length);
});

test('applyMutant refuses a line that is gone, or stands there twice', () => {
  const mutant = { name: 'x', file: 'x.ts', line: 'wait(1);', becomes: '', why: '' };
  expect(() => applyMutant(mutant, 'wait(2);')).toThrow('x.ts has the line 0 times, expected once');
  expect(() => applyMutant(mutant, '  wait(1);\n\twait(1);\n  wait(1);')).toThrow('2 times');
  expect(applyMutant(mutant, 'a\n  wait(1);\nb')).toBe('a\n  \nb');
});
