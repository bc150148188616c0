import { pathOf } from './request-target.ts';
import { serviceLimits } from './service-limits.ts';

export type KeyOutcome =
  | { readonly outcome: 'ok'; readonly key: string }
  | { readonly outcome: 'refused'; readonly reason: string };

/**
 * The key that a request target of `/v1/kv/{key}` names: everything behind `/v1/kv/`, percent-decoded once. It is read from
 * the target as it came over the wire, because a router normalises what is not a path here but a key: `%2F`, `//`, `..`.
 * A slash that came unencoded is a slash of the key.
 */
export function keyOfTarget(target: string): KeyOutcome {
  // The route has matched, so the key begins behind the third slash, however the first two parts were encoded.
  const encoded = pathOf(target).split('/').slice(3).join('/');
  return encoded === ''
    ? { outcome: 'refused', reason: 'the key is empty; the list is at /v1/kv' }
    : decodeKey(encoded);
}

export function decodeKey(encoded: string): KeyOutcome {
  let key: string;
  try {
    key = decodeURIComponent(encoded);
  } catch {
    return { outcome: 'refused', reason: 'the key is not the percent-encoding of UTF-8' };
  }
  return checkKey(key);
}

/** What every key must be, from wherever it comes. */
export function checkKey(key: string): KeyOutcome {
  if (key === '') return { outcome: 'refused', reason: 'the key is empty' };
  const bytes = Buffer.byteLength(key);
  if (bytes > serviceLimits.keyBytesMax) {
    return {
      outcome: 'refused',
      reason: `the key has ${bytes} bytes of UTF-8; keyBytesMax is ${serviceLimits.keyBytesMax}`,
    };
  }
  if (!key.isWellFormed()) return { outcome: 'refused', reason: 'the key holds half of a surrogate pair' };
  return { outcome: 'ok', key };
}

/** The first string, in code-point order, behind every string that begins with `prefix`; undefined if there is none. */
export function stringAfterPrefix(prefix: string): string | undefined {
  const codePoints = Array.from(prefix, (character) => character.codePointAt(0) ?? 0);
  while (codePoints.length > 0) {
    const last = codePoints.pop() ?? 0;
    if (last < lastCodePoint) return String.fromCodePoint(...codePoints) + successor(last);
  }
  return undefined;
}

const lastCodePoint = 0x10_ffff;

/** The surrogates, U+D800 to U+DFFF, are no characters: UTF-8 has none of them. */
function successor(codePoint: number): string {
  return String.fromCodePoint(codePoint === 0xd7ff ? 0xe000 : codePoint + 1);
}
