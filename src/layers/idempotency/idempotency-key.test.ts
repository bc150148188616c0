import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseIdempotencyKey } from 'semel/idempotency';

const uuid = '8e03978e-40d5-43dd-bc93-6894a57f9324';

describe('parseIdempotencyKey takes', () => {
  test.each([
    ['a bare key, which no structured field allows', uuid, uuid],
    ['the same key as a String of RFC 9651', `"${uuid}"`, uuid],
    ['blanks round the field, which belong to HTTP', ` \t"k" `, 'k'],
    ['a comma and a semicolon inside quotes', '"a,b;c=d"', 'a,b;c=d'],
    ['an escaped quote and an escaped backslash', String.raw`"a\"b\\c"`, String.raw`a"b\c`],
    ['a bare backslash, which escapes nothing there', String.raw`a\b`, String.raw`a\b`],
    ['one character', '!', '!'],
    ['255 characters', '~'.repeat(255), '~'.repeat(255)],
    ['255 characters in quotes', `"${'~'.repeat(255)}"`, '~'.repeat(255)],
  ])('%s', (_, field, key) => {
    expect(parseIdempotencyKey(field)).toEqual({ outcome: 'key', key });
  });
});

describe('parseIdempotencyKey refuses', () => {
  test.each([
    ['an empty field', ''],
    ['a field of blanks', ' \t '],
    ['an empty String', '""'],
    ['a bare list', 'a, b'],
    ['a list without blanks', 'a,b'],
    ['two fields joined', '"a", "b"'],
    ['a parameter', '"a";p=1'],
    ['a bare parameter', 'a;p=1'],
    ['what follows a closing quote', '"a"b'],
    ['a String that does not end', '"a'],
    ['a String that ends in a backslash', '"a\\'],
    ['a lone quote', '"'],
    ['an escape of anything else', String.raw`"a\n"`],
    ['a quote inside a bare key', 'a"b'],
    ['a space inside a bare key', 'a b'],
    ['a space inside a String', '"a b"'],
    ['a control character', 'a\u0007b'],
    ['a line break', '"a\nb"'],
    ['DEL', 'a\u007fb'],
    ['a letter beyond ASCII', 'schlüssel'],
    ['a surrogate pair', '"🔑"'],
    ['256 characters', 'k'.repeat(256)],
    ['256 characters in quotes', `"${'k'.repeat(256)}"`],
  ])('%s', (_, field) => {
    expect(parseIdempotencyKey(field)).toMatchObject({ outcome: 'invalid' });
  });
});

test('parseIdempotencyKey tells an absent field from an empty one', () => {
  expect(parseIdempotencyKey(undefined)).toEqual({ outcome: 'absent' });
});

test('parseIdempotencyKey reads every key that it can write, bare or quoted, as the same key', () => {
  const visible = fc.string({
    unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
    minLength: 1,
    maxLength: 255,
  });
  fc.assert(
    fc.property(visible, (key) => {
      const quoted = `"${key.replaceAll(/["\\]/g, (character) => `\\${character}`)}"`;
      expect(parseIdempotencyKey(quoted)).toEqual({ outcome: 'key', key });
      if (!/[,;"]/.test(key)) expect(parseIdempotencyKey(key)).toEqual({ outcome: 'key', key });
    }),
  );
});

test('parseIdempotencyKey gives reasons that repeat nothing of what was sent', () => {
  const secret = 'zq7';
  fc.assert(
    fc.property(fc.string(), fc.string(), (before, after) => {
      const parsed = parseIdempotencyKey(`${before}${secret}${after}`);
      if (parsed.outcome === 'invalid') expect(parsed.reason).not.toContain(secret);
    }),
  );
});
