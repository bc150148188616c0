/**
 * Keys are tuples. Their order: part by part, a key before the longer ones that begin with it; between types bytes,
 * strings (by code point), bigints, numbers, false, true. A number and a bigint of the same value are different parts.
 */
export type KeyPart = string | bigint | number | boolean | Uint8Array;
export type Key = readonly KeyPart[];

/** The keys for which everything given holds; `{}` is every key. */
export interface Range {
  /** Keys that begin with these whole parts; the key that consists of them alone is one of them. */
  readonly prefix?: Key;
  /** Inclusive. */
  readonly start?: Key;
  /** Exclusive. */
  readonly end?: Key;
}
