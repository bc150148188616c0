import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseJson } from './json.ts';

const bounds = { depthMax: 8, nodesMax: 100_000 };

function parse(text: string) {
  return parseJson(Buffer.from(text), bounds);
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
        else expect(ours).toHaveProperty('pointer');
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
    expect(parseJson(Uint8Array.of(0x22, 0xff, 0x22), bounds)).toMatchObject({ outcome: 'refused' });
  });

  test.each([
    ['"\\ud83e\\udd89"', '🦉'],
    ['"\\u0041\\n\\/"', 'A\n/'],
  ])('parseJson reads the escapes of %s', (text, value) => {
    expect(parse(text)).toEqual({ outcome: 'ok', value });
  });

  test.each([
    ['{"a":"\\ud83e","b":1}', '/a'],
    ['["", "\\udd89\\ud83e"]', '/1'],
    ['"\\ud83e\\u0041"', ''],
    ['"\\ud83ex\\udd89"', ''],
  ])('parseJson points at the half of a pair in %s', (text, pointer) => {
    expect(parse(text)).toMatchObject({ outcome: 'refused', pointer });
  });

  test('parseJson stops at nodesMax: what comes behind is not looked at', () => {
    const nodesMax = 1_000;
    const items = (count: number): string => '1,'.repeat(count - 1);
    const within = parseJson(Buffer.from(`[${items(999)}1]`), { depthMax: 8, nodesMax });
    expect(within.outcome).toBe('ok');
    // Broken behind the bound: a parser that went on would say so.
    const beyond = parseJson(Buffer.from(`[${items(1_001)}broken`), { depthMax: 8, nodesMax });
    expect(beyond).toEqual({ outcome: 'too-many-nodes' });
    const members = Array.from({ length: 1_001 }, (_, index) => `"${index}":[]`);
    expect(parseJson(Buffer.from(`{${members.join()},`), { depthMax: 8, nodesMax }).outcome).toBe('too-many-nodes');
  });

  test('parseJson skips a byte order mark, and takes its bytes nowhere else', () => {
    expect(parse('\ufeff[1]')).toEqual({ outcome: 'ok', value: [1] });
    expect(parse('\ufeff\ufeff1').outcome).toBe('refused');
    expect(parse('[\ufeff1]').outcome).toBe('refused');
  });

  test('parseJson finds a member that is there twice however it is spelt, however deep, and takes equal names apart', () => {
    expect(parse('[{"a":1},{"a":{"b":1,"c":[{"é":1,"\\u00e9":2}]}}]')).toMatchObject({ pointer: '/1/a/c/0/é' });
    expect(parse('{"__proto__":1,"__proto__":2}')).toMatchObject({ outcome: 'refused', pointer: '/__proto__' });
    expect(parse('[{"a":1},{"a":{"a":1}}]').outcome).toBe('ok');
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
