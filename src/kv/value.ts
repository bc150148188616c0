import { InvalidArgumentError, LimitExceededError } from './errors.ts';
import { limits } from './limits.ts';

/**
 * What a key may hold: JSON's values, plus `bigint` and bytes. Values are immutable: what is stored is a frozen copy of
 * what was given. Bytes cannot be frozen, so every read hands out bytes of its own.
 */
export type Value =
  | null
  | boolean
  | number
  | string
  | bigint
  | Uint8Array
  | readonly Value[]
  | { readonly [name: string]: Value };

/** A value as a store keeps it. */
export interface StoredValue {
  readonly value: Value;
  /** Encoded size. */
  readonly bytes: number;
  /** Whether there are bytes in it, so that a read must copy. */
  readonly hasBytes: boolean;
}

/**
 * A frozen copy, checked and measured. It refuses what JSON would drop or alter in silence: `undefined`, functions, symbols,
 * class instances, NaN and infinities, lone surrogates.
 *
 * @throws InvalidArgumentError naming the path inside the value; LimitExceededError (valueBytesMax, valueDepthMax)
 */
export function storeValue(given: unknown, field = 'value'): StoredValue {
  const measure = { bytes: 0, hasBytes: false };
  const value = copy(given, field, measure, 0);
  if (measure.bytes > limits.valueBytesMax) {
    throw new LimitExceededError('valueBytesMax', limits.valueBytesMax, measure.bytes);
  }
  return { value, bytes: measure.bytes, hasBytes: measure.hasBytes };
}

/** The value to hand to a reader. */
export function readValue(stored: StoredValue): Value {
  return stored.hasBytes ? copyBytes(stored.value) : stored.value;
}

interface Measure {
  bytes: number;
  hasBytes: boolean;
}

/** What each kind of value weighs beside its content: a tag, and a length or a number of at most eight bytes. */
const headBytes = 9;

function copy(given: unknown, path: string, measure: Measure, depth: number): Value {
  measure.bytes += headBytes;
  switch (typeof given) {
    case 'boolean':
      return given;
    case 'number':
      if (!Number.isFinite(given)) throw new InvalidArgumentError(path, given, 'a finite number');
      return given;
    case 'string':
      return copyString(given, path, measure);
    case 'bigint':
      measure.bytes += bigintBytes(given);
      return given;
    case 'object':
      if (given === null) return null;
      if (given instanceof Uint8Array) {
        measure.bytes += given.length;
        measure.hasBytes = true;
        return new Uint8Array(given);
      }
      if (depth >= limits.valueDepthMax) {
        throw new LimitExceededError('valueDepthMax', limits.valueDepthMax, depth + 1);
      }
      return copyObject(given, path, measure, depth);
    default:
      throw new InvalidArgumentError(
        path,
        given,
        'null, a boolean, number, string, bigint, Uint8Array, array or plain object',
      );
  }
}

function copyString(given: string, path: string, measure: Measure): string {
  if (!given.isWellFormed())
    throw new InvalidArgumentError(path, given, 'well-formed Unicode, without lone surrogates');
  measure.bytes += Buffer.byteLength(given);
  return given;
}

function copyObject(given: object, path: string, measure: Measure, depth: number): Value {
  if (measure.bytes > limits.valueBytesMax) {
    throw new LimitExceededError('valueBytesMax', limits.valueBytesMax, measure.bytes);
  }
  if (Array.isArray(given)) {
    // Not `map`, which would pass over the holes.
    return Object.freeze(Array.from(given, (item, index) => copy(item, `${path}[${index}]`, measure, depth + 1)));
  }
  const prototype: unknown = Object.getPrototypeOf(given);
  if (prototype !== Object.prototype && prototype !== null) {
    throw new InvalidArgumentError(path, given, 'a plain object');
  }
  if (Object.getOwnPropertySymbols(given).length > 0) {
    throw new InvalidArgumentError(path, given, 'names that are strings');
  }
  const result: Record<string, Value> = {};
  for (const [name, item] of Object.entries(given)) {
    copyString(name, `${path}, a member's name,`, measure);
    setMember(result, name, copy(item, `${path}.${name}`, measure, depth + 1));
  }
  return Object.freeze(result);
}

/** `Array.isArray` does not tell a readonly array from an object. */
export function isArray(value: Value): value is readonly Value[] {
  return Array.isArray(value);
}

/** Plain assignment to `__proto__` would set the prototype instead of a member. */
export function setMember(object: Record<string, Value>, name: string, value: Value): void {
  if (name === '__proto__') Object.defineProperty(object, name, { value, enumerable: true });
  else object[name] = value;
}

function copyBytes(value: Value): Value {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return new Uint8Array(value);
  if (isArray(value)) return Object.freeze(value.map(copyBytes));
  const result: Record<string, Value> = {};
  for (const [name, item] of Object.entries(value)) setMember(result, name, copyBytes(item));
  return Object.freeze(result);
}

function bigintBytes(value: bigint): number {
  return Math.ceil((value < 0n ? -value : value).toString(16).length / 2);
}
