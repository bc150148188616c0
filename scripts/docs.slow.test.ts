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
