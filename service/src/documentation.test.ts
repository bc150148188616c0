import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { serviceProblems } from './problem.ts';
import { serviceLimits } from './service-limits.ts';
import { serviceUnderTest } from './service-under-test.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/service.md'), 'utf8');

/** The rows of a section's table: the first cell, without its backticks, and the others. */
function rowsOf(heading: string): readonly (readonly [name: string, ...rest: string[]])[] {
  const section = page.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  return [...section.matchAll(/^\| `([^`]+)` \|(.*)\|$/gm)].map(([, name = '', rest = '']) => [
    name,
    ...rest.split('|').map((cell) => cell.trim()),
  ]);
}

test('docs/service.md lists every problem, with its status and title', () => {
  const listed = rowsOf('Problems').map(([name, status, title]) => [name, { status: Number(status), title }]);
  expect(Object.fromEntries(listed)).toEqual(serviceProblems);
});

test('docs/service.md lists every limit', () => {
  const listed = rowsOf('Limits').map(([name, limit]) => [name, Number(limit?.replaceAll(',', ''))]);
  expect(Object.fromEntries(listed)).toEqual(serviceLimits);
});

test('docs/service.md lists every metric', async () => {
  const { send } = await serviceUnderTest();
  const { text } = await send('GET', '/metrics');
  const exposed = [...text.matchAll(/^# HELP (\S+) (.*)$/gm)].map(([, name, help]) => [name, help]);
  expect(Object.fromEntries(rowsOf('Watching it'))).toEqual(Object.fromEntries(exposed));
});
