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
  const copying = new Copying(field);
  const value = copying.copy(given);
  const { bytes, hasBytes } = copying;
  if (bytes > limits.valueBytesMax) throw new LimitExceededError('valueBytesMax', limits.valueBytesMax, bytes);
  return { value, bytes, hasBytes };
}

/** Whether there are bytes anywhere in it. */
export function holdsBytes(value: Value): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (value instanceof Uint8Array) return true;
  return (isArray(value) ? value : Object.values(value)).some(holdsBytes);
}

/** The value to hand to a reader. */
export function readValue(stored: Omit<StoredValue, 'bytes'>): Value {
  return stored.hasBytes ? copyBytes(stored.value) : stored.value;
}

/** What each kind of value weighs beside its content: a tag, and a length or a number of at most eight bytes. */
const headBytes = 9;

class Copying {
  bytes = 0;
  hasBytes = false;
  readonly #field: string;
  /** Where it is in the value. A path is made of it only where something does not fit. */
  readonly #trail: (string | number)[] = [];

  constructor(field: string) {
    this.#field = field;
  }

  copy(given: unknown): Value {
    this.bytes += headBytes;
    switch (typeof given) {
      case 'boolean':
        return given;
      case 'number':
        if (!Number.isFinite(given)) throw this.#unfit(given, 'a finite number');
        return given;
      case 'string':
        this.#text(given);
        return given;
      case 'bigint':
        this.bytes += bigintBytes(given);
        return given;
      case 'object':
        return given === null ? null : this.#object(given);
      default:
        throw this.#unfit(given, 'null, a boolean, number, string, bigint, Uint8Array, array or plain object');
    }
  }

  #object(given: object): Value {
    if (given instanceof Uint8Array) {
      this.bytes += given.length;
      this.hasBytes = true;
      return new Uint8Array(given);
    }
    const depth = this.#trail.length;
    if (depth >= limits.valueDepthMax) throw new LimitExceededError('valueDepthMax', limits.valueDepthMax, depth + 1);
    if (this.bytes > limits.valueBytesMax) {
      throw new LimitExceededError('valueBytesMax', limits.valueBytesMax, this.bytes);
    }
    return Object.freeze(Array.isArray(given) ? this.#items(given) : this.#members(given));
  }

  #items(given: readonly unknown[]): Value[] {
    const items: Value[] = [];
    // Not `map`, which would pass over the holes.
    for (const [index, item] of given.entries()) items.push(this.#at(index, item));
    return items;
  }

  #members(given: object): Record<string, Value> {
    const prototype: unknown = Object.getPrototypeOf(given);
    if (prototype !== Object.prototype && prototype !== null) throw this.#unfit(given, 'a plain object');
    if (Object.getOwnPropertySymbols(given).length > 0) throw this.#unfit(given, 'names that are strings');
    const members: Record<string, Value> = {};
    for (const [name, item] of Object.entries(given)) {
      this.#text(name, ", a member's name,");
      setMember(members, name, this.#at(name, item));
    }
    return members;
  }

  #at(place: string | number, item: unknown): Value {
    this.#trail.push(place);
    const value = this.copy(item);
    this.#trail.pop();
    return value;
  }

  #text(given: string, role = ''): void {
    if (!given.isWellFormed()) throw this.#unfit(given, 'well-formed Unicode, without lone surrogates', role);
    this.bytes += Buffer.byteLength(given);
  }

  #unfit(given: unknown, expected: string, role = ''): InvalidArgumentError {
    const path = this.#trail.map((place) => (typeof place === 'number' ? `[${place}]` : `.${place}`));
    return new InvalidArgumentError(this.#field + path.join('') + role, given, expected);
  }
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
