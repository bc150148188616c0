import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { confirm } from './terminal.ts';

test.for([
  ['y\n', true],
  ['Yes\n', true],
  ['\n', false],
  ['n\n', false],
  ['yellow\n', false],
  ['y\u0003', false],
  ['\u0004', false],
] as const)('confirm takes %j for %s', async ([typed, isYes]) => {
  const input = new PassThrough();
  const output = Object.assign(new PassThrough(), { isTTY: true, columns: 80 });
  const answer = confirm('Send them?', input, output);
  input.write(typed);
  expect(await answer).toBe(isYes);
  expect(String(output.read())).toContain('Send them? [y/N] ');
});

test('confirm takes the end of the input for no', async () => {
  const input = new PassThrough();
  const answer = confirm('Send them?', input, new PassThrough());
  input.end();
  expect(await answer).toBe(false);
});
