import * as fc from 'fast-check';
import { pack } from 'fdb-tuple';
import { describe, expect, test } from 'vitest';
import { InvalidArgumentError, LimitExceededError } from './errors.ts';
import type { Key, KeyPart, Range } from './key.ts';
import { limits } from './limits.ts';
import { decodeKey, encodeKey, encodeRange, rangeContains } from './tuple.ts';

const string = fc.string({ unit: 'binary', maxLength: 12 });
const awkwardString = fc.constantFrom(
  '',
  '\0',
  '\0\0',
  'a\0',
  '\u00ff',
  '\ufeff',
  '\uffff',
  '😀',
  'a😀',
  '\u{10ffff}',
  '__proto__',
);
const bytes = fc.uint8Array({ maxLength: 12 });
const awkwardBytes = fc
  .constantFrom([], [0], [0, 0xff], [0xff], [0xff, 0], [0, 0], [1], [0x80])
  .map((b) => new Uint8Array(b));
const bigintMax = 256n ** 255n - 1n;
const bigint = fc.oneof(
  fc.bigInt({ min: -300n, max: 300n }),
  fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }),
  fc.bigInt({ min: -bigintMax, max: bigintMax }),
);
const number = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.constantFrom(0, -0, Number.MIN_VALUE, -Number.MIN_VALUE, 2 ** -1030, Number.MAX_VALUE, -Number.MAX_VALUE, 2 ** 53),
);
const part: fc.Arbitrary<KeyPart> = fc.oneof(string, awkwardString, bytes, awkwardBytes, bigint, number, fc.boolean());
const key = fc.array(part, { minLength: 1, maxLength: 4 });

describe('encodeKey', () => {
  test('encodeKey orders encodings as the keys are ordered, part by part', () => {
    fc.assert(
      fc.property(key, key, (left, right) => {
        expect(compare(encodeKey(left), encodeKey(right))).toBe(compareKeys(left, right));
      }),
      { numRuns: 1_000 },
    );
  });

  test('encodeKey orders keys that share all but their last part as that part is ordered', () => {
    fc.assert(
      fc.property(fc.array(part, { maxLength: 3 }), part, part, (shared, left, right) => {
        const order = compare(encodeKey([...shared, left]), encodeKey([...shared, right]));
        expect(order).toBe(comparePart(left, right));
      }),
      { numRuns: 1_000 },
    );
  });

  test('encodeKey orders strings by code point, which UTF-16 does not', () => {
    const byCodePoint = ['', '\0', '\0a', 'a', 'a\0', 'aa', 'ÿ', '\ud7ff', '\ue000', '\uffff', '😀', '\u{10ffff}'];
    const encoded = byCodePoint.map((text) => encodeKey([text]));
    expect(encoded.toSorted(compare)).toEqual(encoded);
    expect(byCodePoint.toSorted(compare)).not.toEqual(byCodePoint);
  });

  test('encodeKey orders the types: bytes, strings, bigints, numbers, false, true', () => {
    const keys: Key[] = [[new Uint8Array([0xff])], ['\u{10ffff}'], [bigintMax], [Number.MAX_VALUE], [false], [true]];
    const lowest: Key[] = [[new Uint8Array()], [''], [-bigintMax], [-Number.MAX_VALUE], [false], [true]];
    const encoded = keys.flatMap((high, index) => [encodeKey(lowest[index] ?? []), encodeKey(high)]);
    expect(encoded.toSorted(compare)).toEqual(encoded);
  });

  test('encodeKey tells values of different types apart', () => {
    const keys: Key[] = [['1'], [1], [1n], [true], [new Uint8Array([1])], [new Uint8Array([0x31])], ['true'], ['']];
    expect(new Set(keys.map(encodeKey)).size).toBe(keys.length);
  });

  test('encodeKey takes -0 and 0 for the same part', () => {
    expect(encodeKey([-0])).toBe(encodeKey([0]));
  });

  test('encodeKey gives one character a byte', () => {
    fc.assert(
      fc.property(key, (parts) => Buffer.from(encodeKey(parts), 'latin1').toString('latin1') === encodeKey(parts)),
    );
  });

  /**
   * fdb-tuple gives whole numbers the integer encoding, which is ours for bigints, and a double only where it is told so;
   * bigints beyond eight bytes it has no encoding for. Nothing else differs.
   */
  test('encodeKey gives the bytes that fdb-tuple gives', () => {
    const small = fc.bigInt({ min: -(2n ** 64n) + 1n, max: 2n ** 64n - 1n });
    const shared = fc.oneof(string, awkwardString, bytes, awkwardBytes, small, number, fc.boolean());
    fc.assert(
      fc.property(fc.array(shared, { minLength: 1, maxLength: 4 }), (parts) => {
        const theirs = parts.map((part) => {
          if (typeof part === 'number') return { type: 'double' as const, value: part === 0 ? 0 : part };
          return part instanceof Uint8Array ? Buffer.from(part) : part;
        });
        expect(encodeKey(parts)).toBe(pack(theirs).toString('latin1'));
      }),
      { numRuns: 500 },
    );
  });

  test.each([
    ['no array', 'users', 'key is "users"; expected an array of at least one part'],
    ['nothing', undefined, 'key is undefined; expected an array of at least one part'],
    ['no parts', [], 'key is []; expected an array of at least one part'],
    ['null', ['a', null], 'key[1] is null; expected a string, bigint, number, boolean or Uint8Array'],
    ['undefined', [undefined], 'key[0] is undefined; expected a string, bigint, number, boolean or Uint8Array'],
    [
      'a hole',
      Array.from({ length: 1 }),
      'key[0] is undefined; expected a string, bigint, number, boolean or Uint8Array',
    ],
    ['an object', [{}], 'key[0] is an object; expected a string, bigint, number, boolean or Uint8Array'],
    ['a nested key', [['a']], 'key[0] is ["a"]; expected a string, bigint, number, boolean or Uint8Array'],
    ['NaN', [Number.NaN], 'key[0] is NaN; expected a finite number'],
    ['infinity', ['a', 1, -Infinity], 'key[2] is -Infinity; expected a finite number'],
    ['a lone surrogate', ['\ud83d'], 'key[0] is "\\ud83d"; expected well-formed Unicode, without lone surrogates'],
  ])('encodeKey refuses %s', (_, given, message) => {
    expect(() => encodeKey(given as Key)).toThrow(InvalidArgumentError);
    expect(() => encodeKey(given as Key)).toThrow(message);
  });

  test('encodeKey takes bigints of 255 bytes and refuses larger ones', () => {
    for (const largest of [bigintMax, -bigintMax]) {
      expect(decodeKey(encodeKey([largest]))).toEqual([largest]);
      expect(() => encodeKey([largest > 0n ? largest + 1n : largest - 1n])).toThrow('a bigint of at most 255 bytes');
    }
  });

  test('encodeKey takes keyBytesMax encoded bytes and refuses one more', () => {
    // A string costs a tag and a closing zero beside its bytes.
    const largest = 'k'.repeat(limits.keyBytesMax - 2);
    expect(encodeKey([largest])).toHaveLength(limits.keyBytesMax);
    expect(() => encodeKey([`${largest}k`])).toThrow(
      new LimitExceededError('keyBytesMax', limits.keyBytesMax, limits.keyBytesMax + 1),
    );
  });
});

describe('decodeKey', () => {
  test('decodeKey is the inverse of encodeKey, but for the sign of zero', () => {
    fc.assert(
      fc.property(key, (parts) => {
        expect(decodeKey(encodeKey(parts))).toEqual(parts.map((part) => (part === 0 ? 0 : part)));
      }),
      { numRuns: 1_000 },
    );
  });

  test('decodeKey hands out a frozen key', () => {
    expect(decodeKey(encodeKey(['a']))).toSatisfy(Object.isFrozen);
  });
});

describe('encodeRange', () => {
  test('encodeRange of a prefix contains exactly the keys that begin with its parts', () => {
    fc.assert(
      fc.property(fc.array(part, { maxLength: 2 }), key, (prefix, other) => {
        const range = encodeRange({ prefix });
        expect(rangeContains(range, encodeKey(other))).toBe(beginsWith(other, prefix));
        const extended = [...prefix, ...other];
        expect(rangeContains(range, encodeKey(extended))).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });

  test('encodeRange of a prefix contains the key that consists of it alone, and no neighbour', () => {
    const range = encodeRange({ prefix: ['user', 'a'] });
    expect(rangeContains(range, encodeKey(['user', 'a']))).toBe(true);
    expect(rangeContains(range, encodeKey(['user', 'a', 'name']))).toBe(true);
    for (const neighbour of [
      ['user'],
      ['user', 'a\0'],
      ['user', 'a\0\xff'],
      ['user', 'ab'],
      ['user', 'b'],
      ['usera'],
    ]) {
      expect(rangeContains(range, encodeKey(neighbour))).toBe(false);
    }
  });

  test('encodeRange includes its start, excludes its end, and holds all three conditions at once', () => {
    const bound = fc.option(key, { nil: undefined });
    fc.assert(
      fc.property(fc.array(part, { maxLength: 1 }), bound, bound, key, (prefix, start, end, tail) => {
        const candidate = [...prefix, ...tail];
        const range: Range = { prefix, ...(start && { start }), ...(end && { end }) };
        const expected =
          (start === undefined || compareKeys(start, candidate) <= 0) &&
          (end === undefined || compareKeys(candidate, end) < 0);
        expect(rangeContains(encodeRange(range), encodeKey(candidate))).toBe(expected);
      }),
      { numRuns: 1_000 },
    );
  });

  test('encodeRange of nothing is every key', () => {
    fc.assert(fc.property(key, (parts) => rangeContains(encodeRange({}), encodeKey(parts))));
  });

  test.each([
    ['an unknown member', { prefx: ['a'] }, 'range.prefx is "prefx"; expected one of prefix, start, end'],
    ['a prefix that is no key', { prefix: 'users' }, 'range.prefix is "users"; expected an array of parts'],
    ['a bad part', { start: ['a', null] }, 'range.start[1] is null; expected a string'],
    ['a bad part at the end', { end: [Number.NaN] }, 'range.end[0] is NaN; expected a finite number'],
    ['null', null, 'range is null; expected an object'],
    ['text', 'users', 'range is "users"; expected an object'],
  ])('encodeRange refuses %s', (_, given, message) => {
    expect(() => encodeRange(given as Range)).toThrow(InvalidArgumentError);
    expect(() => encodeRange(given as Range)).toThrow(message);
  });
});

/** The order that keys are promised to have, written down without their encoding. */
function compareKeys(left: Key, right: Key): number {
  for (const [index, part] of left.entries()) {
    const other = right[index];
    if (other === undefined) return 1;
    const order = comparePart(part, other);
    if (order !== 0) return order;
  }
  return compare(left.length, right.length);
}

function comparePart(left: KeyPart, right: KeyPart): number {
  const byType = compare(rank(left), rank(right));
  if (byType !== 0) return byType;
  if (left instanceof Uint8Array && right instanceof Uint8Array) return Buffer.compare(left, right);
  if (typeof left === 'string' && typeof right === 'string') return compareCodePoints(left, right);
  return compare(left, right);
}

function rank(part: KeyPart): number {
  if (typeof part === 'boolean') return part ? 5 : 4;
  if (typeof part === 'number') return 3;
  if (typeof part === 'bigint') return 2;
  return typeof part === 'string' ? 1 : 0;
}

function compareCodePoints(left: string, right: string): number {
  const points = Array.from(left, (character) => character.codePointAt(0) ?? 0);
  const others = Array.from(right, (character) => character.codePointAt(0) ?? 0);
  for (const [index, point] of points.entries()) {
    const other = others[index];
    if (other === undefined) return 1;
    if (point !== other) return compare(point, other);
  }
  return compare(points.length, others.length);
}

function compare<T>(left: T, right: T): number {
  if (left < right) return -1;
  return left > right ? 1 : 0;
}

function beginsWith(parts: Key, prefix: Key): boolean {
  return parts.length >= prefix.length && compareKeys(parts.slice(0, prefix.length), prefix) === 0;
}
