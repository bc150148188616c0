import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const repository = join(import.meta.dirname, '..');

/** The second column of each row: where the proof stands and, in quotes, what the test is called or begins with. */
function proofs(): readonly { promise: string; path: string; name: string | undefined }[] {
  const rows = readFileSync(join(repository, 'docs/guarantees.md'), 'utf8').matchAll(
    /^\| (?!promise|---)(.+?) \| (.+?) \|/gm,
  );
  return [...rows].flatMap(([, promise = '', proof = '']) =>
    [...proof.matchAll(/`([^`]+\.ts)`(?:: "([^"]+)")?/g)].map(([, path = '', name]) => ({ promise, path, name })),
  );
}

test('docs/guarantees.md names for each promise tests that exist', () => {
  const found = proofs();
  expect(found.length).toBeGreaterThan(20);
  const missing = found.filter(({ path, name }) => {
    if (!existsSync(join(repository, path))) return true;
    return name !== undefined && !readFileSync(join(repository, path), 'utf8').includes(name);
  });
  expect(missing).toEqual([]);
});

test('docs/guarantees.md leaves no promise without a proof', () => {
  const rows = readFileSync(join(repository, 'docs/guarantees.md'), 'utf8').match(/^\| (?!promise|---).+$/gm) ?? [];
  const proved = new Set(proofs().map(({ promise }) => promise));
  expect(rows.filter((row) => ![...proved].some((promise) => row.startsWith(`| ${promise} |`)))).toEqual([]);
});
