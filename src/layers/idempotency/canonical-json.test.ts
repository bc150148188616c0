import canonicalize from 'canonicalize';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { canonicalBytesMax, canonicalJson } from './canonical-json.ts';

function canonical(text: string): string | undefined {
  return canonicalJson(Buffer.from(text));
}

test('canonicalJson writes what the reference implementation of RFC 8785 writes', () => {
  const text = fc.jsonValue({ depthSize: 'medium', stringUnit: 'grapheme' }).map((value) => JSON.stringify(value));
  fc.assert(
    fc.property(text, (json) => {
      expect(canonical(json)).toBe(canonicalize(JSON.parse(json)));
    }),
  );
});

test('canonicalJson takes a number exactly if the double nearest to it is that number in the fewest digits', () => {
  const digits = (maxLength: number) =>
    fc.string({ unit: fc.constantFrom(...'0123456789'.split('')), minLength: 1, maxLength });
  const parts = fc.record({
    sign: fc.constantFrom('', '-'),
    whole: digits(18).map((whole) => whole.replace(/^0+(?=.)/, '')),
    fraction: fc.option(digits(18), { nil: undefined }),
    exponent: fc.option(fc.integer({ min: -340, max: 340 }), { nil: undefined }),
  });
  fc.assert(
    fc.property(parts, ({ sign, whole, fraction, exponent }) => {
      const written =
        sign + whole + (fraction === undefined ? '' : `.${fraction}`) + (exponent === undefined ? '' : `e${exponent}`);
      const value = Number(written);
      const exact = Number.isFinite(value) && same(String(value), written);
      expect(canonical(`[${written}]`)).toBe(exact ? `[${String(value)}]` : undefined);
    }),
    { numRuns: 2_000 },
  );
});

test.each([
  ['1.7976931348623157e308', '1.7976931348623157e+308'],
  ['1e308', '1e+308'],
  ['1e309', undefined],
  ['5e-324', '5e-324'],
  ['4e-324', undefined],
  ['123456789012345e-330', undefined],
  ['999999999999999', '999999999999999'],
  ['9007199254740993', undefined],
  ['-0.0', '0'],
])('canonicalJson of %s is %s', (written, expected) => {
  expect(canonical(written)).toBe(expected);
});

test.each([
  '',
  '[',
  '"',
  '"\\',
  '-',
  '{"a"}',
  '{"a":1,}',
  '[1 2]',
  '01',
  '1.',
  '+1',
  '"\t"',
  '[]]',
  '{"a":1}:',
  '1e',
  'nul',
])('canonicalJson finds no canonical form of %j', (text) => {
  expect(canonical(text)).toBeUndefined();
});

test('canonicalJson writes members in the order of code units, and the characters of strings as they are', () => {
  expect(canonical(String.raw`{"\ufb33":1,"\ud83d\ude00":2,"10":3,"9":4,"é":5,"\u007f":6,"a\"\\\/\n\u001f":7}`)).toBe(
    `{"10":3,"9":4,"a\\"\\\\/\\n\\u001f":7,"\u007f":6,"é":5,"😀":2,"\ufb33":1}`,
  );
});

test('canonicalJson looks at nothing larger than its bound', () => {
  const fits = `"${'x'.repeat(canonicalBytesMax - 2)}"`;
  expect(canonical(fits)).toBe(fits);
  expect(canonical(`${fits} `)).toBeUndefined();
});

/** Compared as fractions of whole numbers. */
function same(one: string, other: string): boolean {
  const [a, b] = [fraction(one), fraction(other)];
  return a.numerator * b.denominator === b.numerator * a.denominator;
}

function fraction(written: string): { numerator: bigint; denominator: bigint } {
  const [mantissa = '', exponent = '0'] = written.split('e');
  const [whole = '', decimals = ''] = mantissa.split('.');
  const power = Number(exponent) - decimals.length;
  const scale = 10n ** BigInt(Math.abs(power));
  const digits = BigInt(whole + decimals);
  return power < 0 ? { numerator: digits, denominator: scale } : { numerator: digits * scale, denominator: 1n };
}
