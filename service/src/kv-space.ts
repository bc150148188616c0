import type { Key, Range } from 'semel';
import { stringAfterPrefix } from './kv-key.ts';

/**
 * Where the values of the HTTP database live: `['kv', tenant, key]`. The tenant is a part of its own, so no key of one
 * tenant can be, or can reach, a key of another.
 */
export function kvKey(tenant: string, key: string): Key {
  return [...tenantPrefix(tenant), key];
}

/** A stretch of one tenant's keys, in code-point order. `prefix` is of characters; `start` is inclusive, `end` exclusive. */
export interface Stretch {
  readonly prefix?: string | undefined;
  readonly start?: string | undefined;
  readonly end?: string | undefined;
}

export function kvRange(tenant: string, { prefix = '', start = '', end }: Stretch): Range {
  const prefixEnd = stringAfterPrefix(prefix);
  const from = isBefore(start, prefix) ? prefix : start;
  const to = end === undefined || (prefixEnd !== undefined && isBefore(prefixEnd, end)) ? prefixEnd : end;
  const tenantKeys = tenantPrefix(tenant);
  return {
    prefix: tenantKeys,
    start: [...tenantKeys, from],
    ...(to === undefined ? {} : { end: [...tenantKeys, to] }),
  };
}

/** The stretch's rest behind `last`, which was the last key to be seen of it. */
export function restOf(stretch: Stretch, last: string, { reverse }: { readonly reverse: boolean }): Stretch {
  // No string lies between a string and the same with U+0000 behind it.
  return reverse ? { ...stretch, end: last } : { ...stretch, start: `${last}\0` };
}

/** The key as its tenant knows it. */
export function nameOf(key: Key): string {
  const name = key[2];
  if (typeof name !== 'string' || key.length !== 3) throw new Error('assertion failed: a kv key has three parts');
  return name;
}

function tenantPrefix(tenant: string): Key {
  return ['kv', tenant];
}

/** By code points, as the store orders strings; `<` would order by UTF-16 and misplace what lies beyond U+FFFF. */
function isBefore(one: string, other: string): boolean {
  return Buffer.compare(Buffer.from(one), Buffer.from(other)) < 0;
}
