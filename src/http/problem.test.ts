import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { problemBase, problems } from 'semel/http';
import { expect, test } from 'vitest';
import { problem } from './problem.ts';

const contract = readFileSync(join(import.meta.dirname, '../../docs/http.md'), 'utf8');

test('problems have each a heading in docs/http.md with the status, and no heading is of none', () => {
  const headings = [...contract.matchAll(/^### `(.+)` \((\d+)\)$/gm)].map(([, name, status]) => `${name} ${status}`);
  const known = Object.entries(problems).map(([name, { status }]) => `${name} ${status}`);
  expect(headings).toEqual(known);
  expect(contract).toContain(problemBase);
});

test('problem answers a document of RFC 9457, with its facts as members', () => {
  const answer = problem('body-too-large', 'Too much.', { facts: { bodyBytesMax: 5 } });
  expect(answer.headers).toEqual([['content-type', 'application/problem+json']]);
  expect(JSON.parse(new TextDecoder().decode(answer.body))).toEqual({
    type: 'https://semel.dev/problems/body-too-large',
    title: 'The request body is too large',
    status: 413,
    detail: 'Too much.',
    bodyBytesMax: 5,
  });
});

test("problem takes a profile's status for the answer and the document alike", () => {
  const answer = problem('key-reused', 'Another one.', { status: 422 });
  expect(answer.status).toBe(422);
  expect(JSON.parse(new TextDecoder().decode(answer.body))).toMatchObject({ status: 422 });
});
