import { expect, test } from 'vitest';
import { retryAfterMs } from './retry-after.ts';

const nowMs = Date.UTC(2026, 0, 1);
const inAMinute = 'Thu, 01 Jan 2026 00:01:00 GMT';

test.for([
  ['0', 0],
  ['120', 120_000],
  [' 5 ', 5_000],
  [inAMinute, 60_000],
  ['Thursday, 01-Jan-26 00:01:00 GMT', 60_000],
  ['Thu Jan  1 00:01:00 2026', 60_000],
  ['Thu, 01 Jan 2015 00:00:00 GMT', 0],
  ['soon', undefined],
  ['1.5', undefined],
  ['-1', undefined],
  ['2026', 2_026_000],
  ['2026-01-01T00:01:00Z', undefined],
  ['Thu, 99 Jan 2026 00:01:00 GMT', undefined],
  ['', undefined],
] as const)('retryAfterMs of %j is %s', ([value, expected]) => {
  expect(retryAfterMs(new Headers({ 'retry-after': value }), nowMs)).toBe(expected);
});

test('retryAfterMs is undefined where the server does not ask', () => {
  expect(retryAfterMs(new Headers(), nowMs)).toBeUndefined();
});

test("retryAfterMs compares a date with the answer's own, so that a wrong clock here does no harm", () => {
  const headers = new Headers({ 'retry-after': inAMinute, date: 'Thu, 01 Jan 2026 00:00:50 GMT' });
  expect(retryAfterMs(headers, nowMs + 86_400_000)).toBe(10_000);
});
