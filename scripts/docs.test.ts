import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test, vi } from 'vitest';
import { readExercises } from './fences.ts';
import { runDocument } from './run-document.ts';

const repository = join(import.meta.dirname, '..');
// Longer than runDocument's own bounds, which tell more when they end something.
vi.setConfig({ testTimeout: 300_000 });
afterAll(() => vi.resetConfig());

test('README.md does what it says', async () => {
  const markdown = readFileSync(join(repository, 'README.md'), 'utf8');
  expect((await runDocument(markdown, { repository, directory: repository })).join('\n\n')).toBe('');
});

describe('runDocument', () => {
  const directory = join(import.meta.dirname, 'fixtures', 'tour');
  const run = (markdown: string) => runDocument(markdown, { repository, directory });

  test('runDocument follows a tour: it starts, asks, kills, starts again, and compares what is printed', async () => {
    const tour = readFileSync(join(directory, 'tour.md'), 'utf8');
    expect(readExercises(tour).exercises.length).toBe(8);
    expect((await run(tour)).join('\n')).toBe('');
  });

  test('runDocument reports output that differs from what is shown, and a program that throws', async () => {
    const failures = await run(
      [
        fence('sh', 'echo one'),
        fence('text', 'two'),
        fence('ts', `console.log('{"a":1}')`),
        fence('json', '{"a":2}'),
        fence('ts', `throw new Error('no luck');`),
      ].join(''),
    );
    expect(failures).toEqual([
      expect.stringContaining('line 7: the document shows\n    {"a":2}\nbut this was printed\n    {"a":1}'),
      expect.stringContaining('no luck'),
      expect.stringContaining('line 1: the document shows\n    two\nbut this was printed\n    one'),
    ]);
  });

  test('runDocument reports a command that fails, even if another follows it', async () => {
    expect(await run(fence('sh', 'false\necho on'))).toEqual([expect.stringContaining('line 1: the command failed')]);
  });

  test('runDocument reports a server that does not start', async () => {
    expect(await run(fence('sh', 'npm start -- --port none'))).toEqual([expect.stringContaining('the command failed')]);
  });

  test('runDocument reports a program that does not type-check', async () => {
    expect(await run(fence('ts', `const n: number = 'one';`))).toEqual([expect.stringContaining('line-1.ts')]);
  });

  test.for([
    ['', 'plain', 'no way to run a fence of language ""'],
    ['console', '$ ls', 'no way to run a fence of language "console"'],
    ['json', '{}', 'a json fence follows no ts, sh or sql fence'],
    ['sh', 'npm run nothing', 'no way to run npm run nothing'],
    ['sh', 'npm ci && npm publish', 'no way to run npm publish'],
    ['sh', 'npm start\ncurl http://127.0.0.1:4600/', '"npm start" needs a fence of its own'],
  ] as const)('runDocument refuses a fence of %o with %o', async ([language, text, reason]) => {
    expect(await run(fence(language, text))).toEqual([expect.stringContaining(reason)]);
  });

  function fence(language: string, text: string): string {
    return `\`\`\`${language}\n${text}\n\`\`\`\n`;
  }
});
