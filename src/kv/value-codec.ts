import { unreachable } from './assert.ts';
import type { ByteReader, ByteWriter } from './bytes.ts';
import { isArray, setMember, type Value } from './value.ts';

/** The byte form of values: a tag, then what the tag says. An engine that keeps values as bytes keeps these. */
const tag = Object.freeze({
  null: 0,
  false: 1,
  true: 2,
  /** Zigzag varint: -1 is 1, 1 is 2. */
  integer: 3,
  double: 4,
  string: 5,
  bytes: 6,
  /** Magnitude, big-endian. */
  bigint: 7,
  negativeBigint: 8,
  array: 9,
  object: 10,
});

/** Beyond it, zigzag would leave the safe integers. */
const integerMax = 2 ** 51;

export function writeValue(writer: ByteWriter, value: Value): void {
  switch (typeof value) {
    case 'boolean':
      writer.byte(value ? tag.true : tag.false);
      return;
    case 'number':
      writeNumber(writer, value);
      return;
    case 'string':
      writer.byte(tag.string);
      writer.text(value, 'utf8');
      return;
    case 'bigint':
      writeBigint(writer, value);
      return;
    case 'object':
      writeObject(writer, value);
      return;
    default:
      unreachable(value);
  }
}

function writeNumber(writer: ByteWriter, value: number): void {
  if (Number.isInteger(value) && Math.abs(value) <= integerMax && !Object.is(value, -0)) {
    writer.byte(tag.integer);
    writer.varint(value < 0 ? -value * 2 - 1 : value * 2);
  } else {
    writer.byte(tag.double);
    writer.double(value);
  }
}

function writeBigint(writer: ByteWriter, value: bigint): void {
  writer.byte(value < 0n ? tag.negativeBigint : tag.bigint);
  const hex = (value < 0n ? -value : value).toString(16);
  writer.bytes(Buffer.from(hex.length % 2 === 1 ? `0${hex}` : hex, 'hex'));
}

function writeObject(writer: ByteWriter, value: Exclude<Value, boolean | number | string | bigint>): void {
  if (value === null) {
    writer.byte(tag.null);
  } else if (value instanceof Uint8Array) {
    writer.byte(tag.bytes);
    writer.bytes(value);
  } else if (isArray(value)) {
    writer.byte(tag.array);
    writer.varint(value.length);
    for (const item of value) writeValue(writer, item);
  } else {
    const members = Object.entries(value);
    writer.byte(tag.object);
    writer.varint(members.length);
    for (const [name, item] of members) {
      writer.text(name, 'utf8');
      writeValue(writer, item);
    }
  }
}

export function parseValue(reader: ByteReader): Value {
  const code = reader.byte();
  switch (code) {
    case tag.null:
      return null;
    case tag.false:
      return false;
    case tag.true:
      return true;
    case tag.integer: {
      const zigzag = reader.varint();
      return zigzag % 2 === 1 ? -(zigzag + 1) / 2 : zigzag / 2;
    }
    case tag.double:
      return reader.double();
    case tag.string:
      return reader.text('utf8');
    case tag.bytes:
      return reader.bytes();
    case tag.bigint:
      return BigInt(`0x${Buffer.from(reader.bytes()).toString('hex')}`);
    case tag.negativeBigint:
      return -BigInt(`0x${Buffer.from(reader.bytes()).toString('hex')}`);
    case tag.array:
      return Object.freeze(Array.from({ length: reader.varint() }, () => parseValue(reader)));
    case tag.object: {
      const object: Record<string, Value> = {};
      for (let count = reader.varint(); count > 0; count--) setMember(object, reader.text('utf8'), parseValue(reader));
      return Object.freeze(object);
    }
    default:
      throw new Error(`assertion failed: a value's tag is known, found ${code}`);
  }
}
