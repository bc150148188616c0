import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJson } from './json.ts';

function parse(text: string) {
  return parseJson(Buffer.from(text), { depthMax: 8 });
}

describe('parseJson', () => {
  test('parseJson reads all JSON that JSON.stringify writes, as JSON.parse does', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), fc.nat(3), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        // JavaScript writes doubles up to 1e21 as digits; beyond 2^53 they are refused, as the tests below say.
        fc.pre(!/[0-9]{16}/.test(text.replaceAll(/\.[0-9]+/g, '')));
        expect(parse(text)).toEqual({ outcome: 'ok', value: JSON.parse(text) });
      }),
    );
  });

  test('parseJson takes and refuses what JSON.parse does, over texts of JSON’s own characters', () => {
    const character = fc.constantFrom(...'{}[]",:\\/ 0123456789.eE+-truefalsn\u0001é'.split(''));
    fc.assert(
      fc.property(fc.array(character, { maxLength: 12 }), (characters) => {
        const text = characters.join('');
        let theirs: unknown = 'refused';
        try {
          theirs = { value: JSON.parse(text) };
        } catch {}
        const ours = parse(text);
        if (theirs === 'refused') expect(ours.outcome).toBe('refused');
        else if (ours.outcome === 'ok') expect({ value: ours.value }).toEqual(theirs);
        // What only we refuse is not I-JSON, and has a pointer to the place.
        else expect(ours.pointer).toBeDefined();
      }),
      { numRuns: 5_000 },
    );
  });

  test.each([
    ['9007199254740992', ''],
    ['-9007199254740993', ''],
    ['{"a":[1,12345678901234567890]}', '/a/1'],
    ['9007199254740993.0', ''],
    ['1e999', ''],
  ])('parseJson refuses the number in %s rather than round it', (text, pointer) => {
    expect(parse(text)).toMatchObject({ outcome: 'refused', pointer });
  });

  test.each(['9007199254740991', '-9007199254740991', '0.1', '1e300', '-0', '1E-7'])('parseJson takes %s', (text) => {
    expect(parse(text)).toEqual({ outcome: 'ok', value: Number(text) });
  });

  test('parseJson refuses a member that is there twice, and points at it', () => {
    expect(parse('{"a":{"b/~":1,"b/~":2}}')).toMatchObject({ outcome: 'refused', pointer: '/a/b~1~0' });
  });

  test('parseJson refuses half a surrogate pair, and bytes that are not UTF-8', () => {
    expect(parse('"\\ud800"')).toMatchObject({ outcome: 'refused', pointer: '' });
    expect(parseJson(Uint8Array.of(0x22, 0xff, 0x22), { depthMax: 8 })).toMatchObject({ outcome: 'refused' });
  });

  test('parseJson refuses nesting beyond its bound, however deep it goes', () => {
    expect(parse('[[[[[[[[1]]]]]]]]').outcome).toBe('ok');
    expect(parse('[[[[[[[[[1]]]]]]]]]').outcome).toBe('refused');
    expect(parse('['.repeat(1_000_000)).outcome).toBe('refused');
  });

  test('parseJson keeps a member called __proto__ as a member', () => {
    const parsed = parse('{"__proto__":{"x":1}}');
    expect(parsed.outcome === 'ok' && JSON.stringify(parsed.value)).toBe('{"__proto__":{"x":1}}');
  });
});
