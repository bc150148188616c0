import { InvalidArgumentError, LimitExceededError } from '../errors.ts';
import { limits } from '../limits.ts';
import { isArray, setMember, type Value } from '../value.ts';

/**
 * Values in JSON, without loss. What JSON has stands for itself. What it lacks is an object of one member, whose name begins
 * with `$`:
 *
 * - `{"$bigint":"-12"}`, in decimal;
 * - `{"$bytes":"AP8="}`, in base64 with its padding;
 * - `{"$number":"-0"}`, the one finite number that JSON's writers drop the sign of.
 *
 * A member of the value's own whose name begins with `$` gets another `$` in front, so that none is taken for one of these.
 * Each value has one form only. Keys need none of their own: a key is an array, and what its parts may be, values may be too.
 */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

export function toJson(value: Value): Json {
  if (typeof value === 'bigint') return { $bigint: value.toString() };
  if (Object.is(value, -0)) return { $number: '-0' };
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Uint8Array) return { $bytes: bytesOf(value).toString('base64') };
  if (isArray(value)) return value.map(toJson);
  const members: Record<string, Value> = {};
  for (const [name, item] of Object.entries(value)) {
    setMember(members, name.startsWith('$') ? `$${name}` : name, toJson(item));
  }
  return members as Json;
}

/**
 * The inverse of `toJson`. What it would not have made is refused. `field` names what is read, for the error.
 *
 * @throws InvalidArgumentError, LimitExceededError (valueDepthMax)
 */
export function fromJson(json: Json, field: string): Value {
  return read(json, field, 0);
}

function read(json: Json, field: string, depth: number): Value {
  if (typeof json !== 'object' || json === null) {
    if (Object.is(json, -0)) throw new InvalidArgumentError(field, '-0', '{"$number":"-0"}');
    return json;
  }
  // Before anything else calls itself: what nests this deep may be garbage that nests without an end.
  if (depth > limits.valueDepthMax) throw new LimitExceededError('valueDepthMax', limits.valueDepthMax, depth);
  if (isJsonArray(json)) return json.map((item, index) => read(item, `${field}[${index}]`, depth + 1));
  const entries = Object.entries(json);
  const [name, item] = entries[0] ?? [];
  if (entries.length === 1 && name !== undefined && isTag(name)) return readTagged(name, item, `${field}.${name}`);
  const members: Record<string, Value> = {};
  for (const [name, item] of entries) {
    const at = `${field}.${name}`;
    if (isTag(name)) throw new InvalidArgumentError(`${at}, a member's name,`, name, `$${name}, or no other member`);
    setMember(members, name.startsWith('$') ? name.slice(1) : name, read(item, at, depth + 1));
  }
  return members;
}

function isTag(name: string): boolean {
  return name.startsWith('$') && !name.startsWith('$$');
}

function readTagged(name: string, content: Json | undefined, field: string): Value {
  switch (name) {
    case '$bigint':
      if (typeof content === 'string' && /^(0|-?[1-9][0-9]*)$/.test(content)) return BigInt(content);
      throw new InvalidArgumentError(field, content, 'the decimal digits of a whole number');
    case '$bytes': {
      const bytes = typeof content === 'string' ? Buffer.from(content, 'base64') : undefined;
      // Node.js passes over what is no base64, and so would take many texts for the same bytes.
      if (bytes !== undefined && bytes.toString('base64') === content) return new Uint8Array(bytes);
      throw new InvalidArgumentError(field, content, 'base64 with its padding');
    }
    case '$number':
      if (content === '-0') return -0;
      throw new InvalidArgumentError(field, content, '"-0"');
    default:
      throw new InvalidArgumentError(
        field,
        content,
        '$bigint, $bytes or $number; a member of that name is written with $$',
      );
  }
}

/** `Array.isArray` does not tell a readonly array from an object. */
export function isJsonArray(json: Json): json is readonly Json[] {
  return Array.isArray(json);
}

function bytesOf(value: Uint8Array): Buffer {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}
