import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ByteReader, ByteWriter } from './bytes.ts';
import { parseValue, writeValue } from './value-codec.ts';
import { storeValue, type Value } from './value.ts';

const { value } = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom<Value>(
      null,
      true,
      false,
      -0,
      2 ** 51,
      -(2 ** 51),
      2 ** 51 + 1,
      2 ** 53,
      Number.MIN_VALUE,
      '\ufeff',
    ),
    fc.integer(),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.string({ unit: 'binary' }),
    fc.bigInt(),
    fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }),
    fc.uint8Array(),
    fc.array(tie('value')),
    fc.dictionary(
      fc.oneof(fc.string({ unit: 'binary' }), fc.constant('__proto__'), fc.nat().map(String)),
      tie('value'),
      {
        noNullPrototype: true,
      },
    ),
  ),
}));

describe('parseValue', () => {
  test('parseValue is the inverse of writeValue', () => {
    fc.assert(
      fc.property(value, (given) => {
        const stored = storeValue(given).value;
        expect(roundTrip(stored)).toStrictEqual(stored);
      }),
      { numRuns: 500 },
    );
  });

  test('parseValue leaves the reader behind the value, so that values can follow each other', () => {
    fc.assert(
      fc.property(fc.array(value), (values) => {
        const writer = new ByteWriter();
        for (const each of values) writeValue(writer, each);
        const reader = new ByteReader(writer.finish());
        expect(values.map(() => parseValue(reader))).toEqual(values);
        expect(reader.atEnd).toBe(true);
      }),
    );
  });

  test('parseValue freezes every level', () => {
    const parsed = roundTrip({ list: [{}] });
    expect(parsed).toSatisfy(Object.isFrozen);
    expect(parsed).toHaveProperty('list', expect.toSatisfy(Object.isFrozen));
    expect(parsed).toHaveProperty('list.0', expect.toSatisfy(Object.isFrozen));
  });

  test('parseValue tells -0 from 0, and the number 1 from the bigint 1', () => {
    expect(roundTrip(-0)).toBe(-0);
    expect(roundTrip(0)).toBe(0);
    expect(roundTrip(1)).toBe(1);
    expect(roundTrip(1n)).toBe(1n);
  });

  test('parseValue fails on bytes that end too early or begin with no known tag', () => {
    const writer = new ByteWriter();
    writeValue(writer, 'text');
    const whole = writer.finish();
    for (let length = 0; length < whole.length; length++) {
      expect(() => parseValue(new ByteReader(whole.subarray(0, length)))).toThrow('what is read was written');
    }
    expect(() => parseValue(new ByteReader(new Uint8Array([0x7f])))).toThrow("a value's tag is known, found 127");
  });
});

describe('writeValue', () => {
  test('writeValue never takes more bytes than storeValue counted', () => {
    fc.assert(
      fc.property(value, (given) => {
        const writer = new ByteWriter();
        writeValue(writer, given);
        expect(writer.length).toBeLessThanOrEqual(storeValue(given).bytes);
      }),
    );
  });
});

function roundTrip(given: Value): Value {
  const writer = new ByteWriter();
  writeValue(writer, given);
  return parseValue(new ByteReader(writer.finish()));
}
