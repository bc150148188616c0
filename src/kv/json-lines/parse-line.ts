import { InvalidArgumentError } from '../errors.ts';
import type { Key } from '../key.ts';
import { isArray, type Value } from '../value.ts';
import { fromJson, isJsonArray, type Json } from './json-codec.ts';
import { type ExportHeader, formatName, formatVersion, type Trailer } from './line-format.ts';

/** What `line-format.ts` writes, read back. Everything here throws InvalidArgumentError, or LimitExceededError. */
export function parseLine(line: string): Json {
  try {
    const json: Json = JSON.parse(line);
    return json;
  } catch {
    throw new InvalidArgumentError('it', line, 'a line of JSON');
  }
}

export function parseHeader(json: Json): ExportHeader {
  const header = membersOf(json) ?? {};
  if (header['format'] !== formatName) throw new InvalidArgumentError('it', json, `{"format":"${formatName}",…}`);
  if (header['version'] !== formatVersion) {
    throw new InvalidArgumentError('version', header['version'], `${formatVersion}, which this release reads`);
  }
  const { now, prefix, salvaged } = header;
  if (typeof now !== 'number') throw new InvalidArgumentError('now', now, 'milliseconds since 1970');
  return {
    now,
    ...(prefix === undefined ? {} : { prefix: asKey(fromJson(prefix, 'prefix'), 'prefix') }),
    ...(salvaged === undefined ? {} : { salvaged: asTexts(salvaged) }),
  };
}

export function parseEntry(json: readonly Json[]): { readonly key: Key; readonly value: Value } {
  const [key, value] = json;
  if (json.length !== 2 || key === undefined || value === undefined) {
    throw new InvalidArgumentError('it', json, '[key,value]');
  }
  return { key: asKey(fromJson(key, 'key'), 'key'), value: fromJson(value, 'value') };
}

export function parseTrailer(json: Json): Trailer {
  const { entries, sha256, ...others } = membersOf(json) ?? {};
  if (typeof entries !== 'number' || typeof sha256 !== 'string' || Object.keys(others).length > 0) {
    throw new InvalidArgumentError('it', json, '[key,value], or {"entries":…,"sha256":…} as the last line');
  }
  return { entries, sha256 };
}

function membersOf(json: Json): Readonly<Record<string, Json>> | undefined {
  return typeof json === 'object' && json !== null && !isJsonArray(json) ? json : undefined;
}

/** Which parts a key may have, `encodeKey` tells. */
function asKey(value: Value, field: string): Key {
  if (typeof value === 'object' && value !== null && !(value instanceof Uint8Array) && isArray(value)) {
    return value as Key;
  }
  throw new InvalidArgumentError(field, value, 'an array of parts');
}

function asTexts(json: Json): readonly string[] {
  if (isJsonArray(json) && json.every((item) => typeof item === 'string')) return json;
  throw new InvalidArgumentError('salvaged', json, 'an array of texts');
}
