import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkKey, keyOfTarget, stringAfterPrefix } from './kv-key.ts';
import { serviceLimits } from './service-limits.ts';

const anyKey = fc.string({ unit: 'binary', minLength: 1, maxLength: 40 });

describe('keyOfTarget', () => {
  test('keyOfTarget is the inverse of percent-encoding, for every key', () => {
    fc.assert(
      fc.property(anyKey, (key) => {
        expect(keyOfTarget(`/v1/kv/${encodeURIComponent(key)}?x=/y`)).toEqual({ outcome: 'ok', key });
      }),
    );
  });

  test.each([
    ['/v1/kv/a%2Fb', 'a/b'],
    ['/v1/kv/a/b', 'a/b'],
    ['/v1/kv/a//b/', 'a//b/'],
    ['/v1/kv/..', '..'],
    ['/v1/kv/%2E%2E', '..'],
    ['/v1/kv/a/../b', 'a/../b'],
    ['/v1/kv/%00', '\0'],
    ['/v1/kv/%25', '%'],
    ['/v1/kv/%2525', '%25'],
    ['/v1/kv/a+b', 'a+b'],
    ['/v1/kv/%F0%9F%A6%89', '🦉'],
    ['/v1/k%76/a', 'a'],
    ['http://127.0.0.1:4600/v1/kv/a?b', 'a'],
  ])('keyOfTarget reads %s', (target, key) => {
    expect(keyOfTarget(target)).toEqual({ outcome: 'ok', key });
  });

  test.each(['/v1/kv/%', '/v1/kv/%zz', '/v1/kv/%FF', '/v1/kv/%ED%A0%80', '/v1/kv/%C0%AF', '/v1/kv/'])(
    'keyOfTarget refuses %s',
    (target) => {
      expect(keyOfTarget(target).outcome).toBe('refused');
    },
  );
});

test('checkKey takes a key of keyBytesMax bytes and refuses one more, and half a surrogate pair', () => {
  expect(checkKey('é'.repeat(serviceLimits.keyBytesMax / 2)).outcome).toBe('ok');
  expect(checkKey(`a${'é'.repeat(serviceLimits.keyBytesMax / 2)}`).outcome).toBe('refused');
  expect(checkKey('\ud800').outcome).toBe('refused');
});

describe('stringAfterPrefix', () => {
  test('stringAfterPrefix lies behind exactly the strings that begin with the prefix or come before it', () => {
    const unit = fc.constantFrom('\0', 'a', 'b', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}');
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 3 }), fc.string({ unit, maxLength: 4 }), (prefix, other) => {
        const after = stringAfterPrefix(prefix);
        const isBefore = after === undefined || Buffer.compare(Buffer.from(other), Buffer.from(after)) < 0;
        expect(isBefore).toBe(other.startsWith(prefix) || Buffer.compare(Buffer.from(other), Buffer.from(prefix)) < 0);
      }),
      { numRuns: 2_000 },
    );
  });

  test('stringAfterPrefix steps over the surrogates and has no answer for the last code points', () => {
    expect(stringAfterPrefix('a\ud7ff')).toBe('a\ue000');
    expect(stringAfterPrefix('a\u{10ffff}\u{10ffff}')).toBe('b');
    expect(stringAfterPrefix('\u{10ffff}')).toBeUndefined();
    expect(stringAfterPrefix('')).toBeUndefined();
  });
});
