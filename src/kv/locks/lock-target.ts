import { describe } from '../errors.ts';
import type { LockOptions } from '../store.ts';
import type { Key, Range } from '../key.ts';
import { decodeKey, encodeKey, type EncodedKey, type EncodedRange, encodeRange } from '../tuple.ts';

export type LockMode = NonNullable<LockOptions['mode']>;

/** A range; for a single key the range that holds it alone, and the key. */
export interface LockTarget extends EncodedRange {
  readonly key: EncodedKey | undefined;
}

/** @throws InvalidArgumentError, LimitExceededError (keyBytesMax) */
export function lockTarget(target: Key | Range): LockTarget {
  return isKey(target) ? keyTarget(encodeKey(target)) : rangeTarget(encodeRange(target));
}

function isKey(target: Key | Range): target is Key {
  return Array.isArray(target);
}

export function keyTarget(key: EncodedKey): LockTarget {
  // No key lies between a key and itself with a zero byte behind.
  return { key, start: key, end: `${key}\0` };
}

export function rangeTarget(range: EncodedRange): LockTarget {
  return { key: undefined, start: range.start, end: range.end };
}

export function overlap(a: LockTarget, b: LockTarget): boolean {
  // Without the end of a key's range, a string that would be put together for this alone.
  if (a.key !== undefined && b.key !== undefined) return a.key === b.key;
  return (a.end === undefined || b.start < a.end) && (b.end === undefined || a.start < b.end);
}

export function covers(outer: EncodedRange, inner: EncodedRange): boolean {
  return outer.start <= inner.start && (outer.end === undefined || (inner.end !== undefined && inner.end <= outer.end));
}

export function describeTarget(target: LockTarget): string {
  if (target.key !== undefined) return `key ${describe(decodeKey(target.key))}`;
  const start = target.start === '' ? 'the first key' : describe(decodeKey(target.start));
  return `the keys from ${start} to ${describeEnd(target.end)}`;
}

function describeEnd(end: EncodedKey | undefined): string {
  if (end === undefined) return 'the last';
  // The end of a prefix is no key.
  return end.endsWith('\xff') ? `the last of ${describe(decodeKey(end.slice(0, -1)))}` : describe(decodeKey(end));
}
