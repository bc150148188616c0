import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InvalidArgumentError, LimitExceededError } from './errors.ts';
import { limits } from './limits.ts';
import { readValue, storeValue, type Value } from './value.ts';

class Account {
  readonly owner = 'a';
}

describe('storeValue', () => {
  const kinds = { null: null, true: true, number: -0.5, text: 'a😀\0', bigint: -5n, bytes: new Uint8Array([0, 255]) };

  test('storeValue keeps every kind of value', () => {
    const given = { ...kinds, list: [kinds, [], {}], empty: '' };
    expect(storeValue(given).value).toEqual(given);
    expect(storeValue(-0).value).toBe(-0);
  });

  test('storeValue copies: what the caller changes later has no effect', () => {
    const given = { list: [1, 2], inner: { name: 'before' }, bytes: new Uint8Array([1]) };
    const stored = storeValue(given);
    given.list.push(3);
    given.inner.name = 'after';
    given.bytes[0] = 9;
    expect(stored.value).toEqual({ list: [1, 2], inner: { name: 'before' }, bytes: new Uint8Array([1]) });
  });

  test('storeValue copies the bytes of a Buffer, whose memory is shared, into an array of their own', () => {
    const pooled = Buffer.from('bytes');
    const { value } = storeValue(pooled);
    expect(value).toEqual(new Uint8Array(pooled));
    expect(value).not.toBeInstanceOf(Buffer);
    expect(value).toHaveProperty('buffer.byteLength', 5);
  });

  test('storeValue freezes every level', () => {
    const { value } = storeValue({ list: [{ inner: [] }] });
    expect(levelsOf(value)).toHaveLength(4);
    expect(levelsOf(value)).toSatisfy((levels: object[]) => levels.every(Object.isFrozen));
  });

  test('storeValue takes a member called __proto__ for the member that it is', () => {
    const given: unknown = JSON.parse('{ "__proto__": { "admin": true }, "constructor": 1 }');
    const { value } = storeValue(given);
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    expect(Object.entries(value ?? {})).toEqual([
      ['__proto__', { admin: true }],
      ['constructor', 1],
    ]);
    expect(JSON.stringify(value)).toBe('{"__proto__":{"admin":true},"constructor":1}');
  });

  test('storeValue takes objects without a prototype', () => {
    expect(storeValue(Object.assign(Object.create(null), { a: 1 })).value).toEqual({ a: 1 });
  });

  const kindsExpected = 'null, a boolean, number, string, bigint, Uint8Array, array or plain object';

  test.each([
    ['undefined', undefined, `value is undefined; expected ${kindsExpected}`],
    ['an undefined member', { a: { b: undefined } }, `value.a.b is undefined; expected ${kindsExpected}`],
    ['a hole', { list: Object.assign(Array.from({ length: 0 }), { length: 2 }) }, 'value.list[0] is undefined'],
    ['a function', { toJSON: () => 1 }, 'value.toJSON is a function'],
    ['a symbol', [Symbol('s')], 'value[0] is Symbol(s)'],
    [
      'a member named by a symbol',
      { a: { [Symbol('s')]: 1 } },
      'value.a is an object; expected names that are strings',
    ],
    ['NaN', [1, Number.NaN], 'value[1] is NaN; expected a finite number'],
    ['infinity', { a: -Infinity }, 'value.a is -Infinity; expected a finite number'],
    ['a lone surrogate', ['\udc00'], 'value[0] is "\\udc00"; expected well-formed Unicode'],
    [
      'a lone surrogate in a name',
      { a: { '\ud800': 1 } },
      `value.a, a member's name, is "\\ud800"; expected well-formed`,
    ],
    ['a date', { at: new Date(0) }, 'value.at is an instance of Date; expected a plain object'],
    ['a map', new Map(), 'value is an instance of Map; expected a plain object'],
    ['an instance of a class', [new Account()], 'value[0] is an instance of Account; expected a plain object'],
    ['an object with an own prototype', Object.create({ inherited: 1 }), 'expected a plain object'],
    ['other typed arrays', new Uint16Array(1), 'value is an instance of Uint16Array; expected a plain object'],
  ])('storeValue refuses %s and says where', (_, given, message) => {
    expect(() => storeValue(given)).toThrow(InvalidArgumentError);
    expect(() => storeValue(given)).toThrow(message);
  });

  test('storeValue begins the path with the name of what it was given for', () => {
    expect(() => storeValue([undefined], 'response')).toThrow('response[0] is undefined');
  });

  test('storeValue takes valueDepthMax levels and refuses one more', () => {
    const deepest = nested(limits.valueDepthMax, 'leaf');
    expect(storeValue(deepest).value).toEqual(deepest);
    expect(() => storeValue([deepest])).toThrow(
      new LimitExceededError('valueDepthMax', limits.valueDepthMax, limits.valueDepthMax + 1),
    );
  });

  test('storeValue counts bytes as content, not as a level', () => {
    const deepest = nested(limits.valueDepthMax, new Uint8Array([1]));
    expect(storeValue(deepest).value).toEqual(deepest);
  });

  test('storeValue refuses a value that contains itself', () => {
    const given: unknown[] = [];
    given.push({ given });
    expect(() => storeValue(given)).toThrow(LimitExceededError);
  });

  test('storeValue takes valueBytesMax and refuses one byte more, whatever the bytes are', () => {
    const contents = limits.valueBytesMax - storeValue('').bytes;
    expect(storeValue('k'.repeat(contents)).bytes).toBe(limits.valueBytesMax);
    const refusal = new LimitExceededError('valueBytesMax', limits.valueBytesMax, limits.valueBytesMax + 1);
    expect(() => storeValue('k'.repeat(contents + 1))).toThrow(refusal);
    expect(() => storeValue(new Uint8Array(contents + 1))).toThrow(refusal);
    expect(() => storeValue(1n << BigInt(contents * 8))).toThrow(refusal);
    expect(() => storeValue('é'.repeat(contents / 2 + 1))).toThrow(LimitExceededError);
    expect(() => storeValue({ ['k'.repeat(contents + 1)]: null })).toThrow(LimitExceededError);
  });
});

describe('readValue', () => {
  test('readValue hands out the one frozen value where there are no bytes in it', () => {
    const stored = storeValue({ list: [1] });
    expect(stored.hasBytes).toBe(false);
    expect(readValue(stored)).toBe(readValue(stored));
  });

  test('readValue hands out bytes of the reader’s own, at any depth', () => {
    const stored = storeValue({ list: [{ bytes: new Uint8Array([1]) }], ['__proto__']: 1 });
    const read = readValue(stored);
    for (const level of levelsOf(read)) if (level instanceof Uint8Array) level[0] = 9;
    expect(readValue(stored)).toEqual({ list: [{ bytes: new Uint8Array([1]) }], ['__proto__']: 1 });
    expect(levelsOf(read).filter((level) => !(level instanceof Uint8Array))).toSatisfy((levels: object[]) =>
      levels.every(Object.isFrozen),
    );
  });

  test('readValue gives back what was stored', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 2 }), fc.uint8Array(), fc.bigInt(), (json, bytes, bigint) => {
        const given = { json, bytes, bigint };
        expect(readValue(storeValue(given))).toEqual(given);
      }),
    );
  });
});

function nested(levels: number, leaf: Value): Value {
  let value = leaf;
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { value };
  return value;
}

/** The value and every object inside it. */
function levelsOf(value: Value): object[] {
  if (typeof value !== 'object' || value === null) return [];
  if (value instanceof Uint8Array) return [value];
  return [value, ...Object.values<Value>(value).flatMap(levelsOf)];
}
