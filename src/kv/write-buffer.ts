import { assert } from './assert.ts';
import { InvalidArgumentError, LimitExceededError } from './errors.ts';
import { limits } from './limits.ts';
import type { AddOutcome, Bounds } from './store.ts';
import { type EncodedKey, type EncodedRange, rangeContains } from './tuple.ts';
import { storeValue, type StoredValue, type Value } from './value.ts';

/**
 * What a transaction has written and not committed, one write a key. A nested scope's buffer lies over its parent's.
 *
 * A key's write is *set*, *deleted*, or *added*: additions to a value that the transaction does not own. An addition to
 * what it has set itself is simply another set. Additions stay in order, each with its bounds, because the commit makes
 * them again on the newest value.
 */
export class WriteBuffer {
  readonly #parent: WriteBuffer | undefined;
  readonly #writes: Write[] = [];
  /** Where each key's write is, once they are too many to look at them all. */
  #places: Map<EncodedKey, number> | undefined;
  /** Of both of the following: the parent's and its own together. */
  #size: number;
  #bytes: number;

  constructor(parent?: WriteBuffer) {
    this.#parent = parent;
    this.#size = parent === undefined ? 0 : parent.#size;
    this.#bytes = parent === undefined ? 0 : parent.#bytes;
  }

  get size(): number {
    return this.#size;
  }

  get(key: EncodedKey): Write | undefined {
    const place = this.#placeOf(key);
    return place === undefined ? this.#parent?.get(key) : this.#writes[place];
  }

  /** Answers what stood there before. @throws LimitExceededError (transactionWritesMax, transactionBytesMax) */
  put(write: Write): Write | undefined {
    const place = this.#placeOf(write.key);
    const before = place === undefined ? this.#parent?.get(write.key) : this.#writes[place];
    const size = before === undefined ? this.#size + 1 : this.#size;
    if (size > limits.transactionWritesMax) {
      throw new LimitExceededError('transactionWritesMax', limits.transactionWritesMax, size);
    }
    const bytes = this.#bytes + weight(write) - (before === undefined ? 0 : weight(before));
    if (bytes > limits.transactionBytesMax) {
      throw new LimitExceededError('transactionBytesMax', limits.transactionBytesMax, bytes);
    }
    this.#size = size;
    this.#bytes = bytes;
    this.#place(write, place);
    return before;
  }

  /** Its own writes become the parent's, which has rested meanwhile. */
  join(): void {
    const parent = this.#parent;
    assert(parent !== undefined, 'a nested scope has a parent');
    for (const write of this.#writes) parent.#place(write, parent.#placeOf(write.key));
    parent.#size = this.#size;
    parent.#bytes = this.#bytes;
  }

  /** What it holds itself, without its parent's. */
  own(): readonly Write[] {
    return this.#writes;
  }

  keys(): readonly EncodedKey[] {
    const own = this.#writes.map(({ key }) => key);
    return this.#parent === undefined ? own : [...new Set([...this.#parent.keys(), ...own])];
  }

  /** The writes in a range as they are now, in the order of their keys. */
  writesIn(range: EncodedRange, reverse: boolean): readonly Write[] {
    const keys = this.keys().filter((key) => rangeContains(range, key));
    keys.sort();
    if (reverse) keys.reverse();
    return keys.flatMap((key) => this.get(key) ?? []);
  }

  #placeOf(key: EncodedKey): number | undefined {
    if (this.#places !== undefined) return this.#places.get(key);
    for (let place = 0; place < this.#writes.length; place++) if (this.#writes[place]?.key === key) return place;
    return undefined;
  }

  #place(write: Write, place: number | undefined): void {
    if (place !== undefined) {
      this.#writes[place] = write;
      return;
    }
    const count = this.#writes.push(write);
    if (this.#places !== undefined) this.#places.set(write.key, count - 1);
    else if (count > writesLookedAtMax) this.#places = new Map(this.#writes.map(({ key }, at) => [key, at]));
  }
}

/** So few that looking at them costs less than a map, which would be made for each transaction. */
const writesLookedAtMax = 8;

export type Write =
  | { readonly kind: 'set'; readonly key: EncodedKey; readonly stored: StoredValue }
  | { readonly kind: 'deleted'; readonly key: EncodedKey; readonly stored: undefined }
  | ({ readonly kind: 'added' } & Additions);

export interface Additions {
  readonly key: EncodedKey;
  readonly additions: readonly Addition[];
}

export interface Addition extends Bounds {
  readonly amount: number | bigint;
}

/** @throws InvalidArgumentError where an addition could never be made, whatever the key holds */
export function checkedAddition(amount: number | bigint, bounds: Bounds): Addition {
  requireSummand('amount', amount, amount);
  if (bounds.min !== undefined) requireSummand('min', bounds.min, amount);
  if (bounds.max !== undefined) requireSummand('max', bounds.max, amount);
  return { amount, ...bounds };
}

function requireSummand(field: string, value: unknown, amount: unknown): void {
  const fits =
    typeof value === 'bigint' ? value >= limits.sumMin && value <= limits.sumMax : Number.isSafeInteger(value);
  if (!fits) {
    throw new InvalidArgumentError(field, value, 'a safe integer, or a bigint that fits a signed 128-bit integer');
  }
  if (typeof value !== typeof amount)
    throw new InvalidArgumentError(field, value, `a ${typeof amount}, like the amount`);
}

export type Sum =
  | { readonly outcome: 'ok'; readonly sum: number | bigint }
  | Extract<AddOutcome, { outcome: 'refused' }>;

/** Additions on a value, one after the other; an absent value counts as 0. The first one that does not fit refuses. */
export function sumOf(base: Value | undefined, additions: readonly Addition[]): Sum {
  let sum: number | bigint | undefined;
  for (const { amount, min, max } of additions) {
    const absent = typeof amount === 'bigint' ? 0n : 0;
    const before: Value = sum ?? (base === undefined ? absent : base);
    if (typeof before === 'number' && typeof amount === 'number' && Number.isSafeInteger(before)) sum = before + amount;
    else if (typeof before === 'bigint' && typeof amount === 'bigint') sum = before + amount;
    else return { outcome: 'refused', reason: 'not-addable' };
    if (overflows(sum)) return { outcome: 'refused', reason: 'overflow' };
    if (min !== undefined && sum < min) return { outcome: 'refused', reason: 'below-min' };
    if (max !== undefined && sum > max) return { outcome: 'refused', reason: 'above-max' };
  }
  return sum === undefined ? { outcome: 'refused', reason: 'not-addable' } : { outcome: 'ok', sum };
}

function overflows(sum: number | bigint): boolean {
  return typeof sum === 'bigint' ? sum < limits.sumMin || sum > limits.sumMax : !Number.isSafeInteger(sum);
}

/** What additions make of `base`; they are known to fit. */
export function added(base: Value | undefined, additions: readonly Addition[]): StoredValue {
  const sum = sumOf(base, additions);
  if (sum.outcome === 'refused') throw new Error('assertion failed: additions were checked before they are made');
  return storeValue(sum.sum);
}

/** What an addition weighs, with its bounds. */
const additionBytes = 64;

function weight(write: Write): number {
  if (write.kind === 'set') return write.key.length + write.stored.bytes;
  return write.key.length + (write.kind === 'added' ? write.additions.length * additionBytes : 0);
}
