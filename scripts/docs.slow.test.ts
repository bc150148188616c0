import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { runDocument } from './run-document.ts';

const repository = join(import.meta.dirname, '..');
// Longer than runDocument's own bounds, which tell more when they end something.
vi.setConfig({ testTimeout: 300_000 });
afterAll(() => vi.resetConfig());

const documents = globSync('docs/*.md', { cwd: repository });

test('docs/ has documents', () => {
  expect(documents).toContain('docs/guarantees.md');
});

test.for(documents)('%s does what it says', async (path) => {
  const markdown = readFileSync(join(repository, path), 'utf8');
  const failures = await runDocument(markdown, { repository, directory: repository });
  expect(failures.map((failure) => `${path}, ${failure}`).join('\n\n')).toBe('');
});

test("runDocument types SQL into a database of the document's own, which commands find, and reports what fails there", async () => {
  const fences = [
    ['sql', 'create table t (a int, b text); insert into t values (1, null), (20, true); select * from t order by a;'],
    ['text', ' a  | b\n----+------\n 1  |\n 20 | true\n(2 rows)'],
    ['sql', 'select a from t where b is null'],
    ['text', ' a\n---\n 2\n(1 row)'],
    ['sql', 'select 1; select * from no_such'],
    ['sh', 'echo "select a from t limit 0" | node scripts/run-sql.ts; test "$DATABASE_URL" != ""'],
  ];
  const markdown = fences.map(([language, text]) => `\`\`\`${language}\n${text}\n\`\`\`\n`).join('');
  expect(await runDocument(markdown, { repository, directory: repository })).toEqual([
    expect.stringContaining('line 11: the document shows'),
    expect.stringContaining('relation "no_such" does not exist'),
  ]);
});
