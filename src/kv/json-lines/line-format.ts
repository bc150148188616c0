import { createHash } from 'node:crypto';
import type { Key } from '../key.ts';
import type { Value } from '../value.ts';
import { type Json, toJson } from './json-codec.ts';

/**
 * An export: a header, a line `[key,value]` for each entry in the order of keys, and a trailer. Each line ends in `\n`. The
 * trailer counts the entries and has the SHA-256 of everything before it, so that `head -n -1 FILE | sha256sum` shows the
 * same, and a file that was cut, or altered anywhere, is no export.
 */
export const formatName = 'semel-export';
export const formatVersion = 1;

export interface ExportHeader {
  /** The store's own clock at the snapshot, in milliseconds since the Unix epoch. */
  readonly now: number;
  /** With which parts all keys begin, where not everything was asked for. */
  readonly prefix?: Key | undefined;
  /** Where the store was damaged and this is what was whole of it: what is missing, in words. */
  readonly salvaged?: readonly string[] | undefined;
}

export function headerLine({ now, prefix, salvaged }: ExportHeader): string {
  return lineOf({
    format: formatName,
    version: formatVersion,
    now,
    ...(prefix === undefined ? {} : { prefix: toJson(prefix) }),
    ...(salvaged === undefined ? {} : { salvaged }),
  });
}

export function entryLine(key: Key, value: Value): string {
  return lineOf([toJson(key), toJson(value)]);
}

export interface Trailer {
  readonly entries: number;
  readonly sha256: string;
}

export function trailerLine({ entries, sha256 }: Trailer): string {
  return lineOf({ entries, sha256 });
}

/** The checksum of the lines up to now. */
export class LinesChecksum {
  readonly #hash = createHash('sha256');

  add(line: string): void {
    this.#hash.update(line).update('\n');
  }

  /** Nothing can be added afterwards. */
  finish(): string {
    return this.#hash.digest('hex');
  }
}

/**
 * Many readers of lines, that of Node.js among them, take the separators of lines and paragraphs of Unicode for the end of
 * one; JSON allows both within a string.
 */
function lineOf(json: Json): string {
  return JSON.stringify(json)
    .replaceAll('\u2028', String.raw`\u2028`)
    .replaceAll('\u2029', String.raw`\u2029`);
}
