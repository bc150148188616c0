import { describe, expect, test } from 'vitest';
import { evaluate, parsePreconditions } from './preconditions.ts';

function outcomeOf(headers: { 'if-match'?: string; 'if-none-match'?: string }, version: string | undefined) {
  const parsed = parsePreconditions(headers);
  return parsed.outcome === 'ok' ? evaluate(parsed.preconditions, version) : parsed.header;
}

describe('evaluate', () => {
  test.each([
    [{}, 'v1', 'passed'],
    [{ 'if-match': '"v1"' }, 'v1', 'passed'],
    [{ 'if-match': '"v0", "v1"' }, 'v1', 'passed'],
    [{ 'if-match': '"v0"' }, 'v1', 'failed'],
    [{ 'if-match': '"v1"' }, undefined, 'failed'],
    [{ 'if-match': '*' }, 'v1', 'passed'],
    [{ 'if-match': '*' }, undefined, 'failed'],
    [{ 'if-match': 'W/"v1"' }, 'v1', 'failed'],
    [{ 'if-none-match': '"v1"' }, 'v1', 'unchanged'],
    [{ 'if-none-match': 'W/"v1"' }, 'v1', 'unchanged'],
    [{ 'if-none-match': '"v0","v2"' }, 'v1', 'passed'],
    [{ 'if-none-match': '*' }, undefined, 'passed'],
    [{ 'if-none-match': ' * ' }, 'v1', 'unchanged'],
    [{ 'if-match': '"v1"', 'if-none-match': '"v1"' }, 'v1', 'unchanged'],
  ])('evaluate of %j against version %j is %s', (headers, version, expected) => {
    expect(outcomeOf(headers, version)).toBe(expected);
  });

  test.each(['v1', '"v1', '"v1" "v2"', '', '"v1",', '"v1"x', '*, "v1"'])('parsePreconditions refuses %j', (header) => {
    expect(outcomeOf({ 'if-match': header }, 'v1')).toBe('If-Match');
    expect(outcomeOf({ 'if-none-match': header }, 'v1')).toBe('If-None-Match');
  });
});
