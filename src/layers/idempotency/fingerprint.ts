import { createHash, hash, timingSafeEqual } from 'node:crypto';
import { InvalidArgumentError } from '../../kv/errors.ts';
import { canonicalJson } from './canonical-json.ts';

/** What of a request makes it the same request. */
export interface FingerprintParts {
  readonly method: string;
  /** Concrete and as it was sent: `/accounts/7/transfers`, never `/accounts/:id/transfers`. */
  readonly path: string;
  /** Only the pairs that matter to the operation; the caller selects. */
  readonly query: Iterable<readonly [name: string, value: string]>;
  /** Only the fields that matter to the operation, names in lower case. Without any, they might as well not exist. */
  readonly headers?: Iterable<readonly [name: string, value: string]>;
  /** The field `Content-Type`, of which only the essence counts. */
  readonly mediaType: string | undefined;
  /** As it was sent, before any parser. */
  readonly body: Uint8Array;
}

export interface Fingerprint {
  /** Which composition the digest is of. Digests of different algorithms say nothing about each other. */
  readonly algorithm: number;
  readonly digest: Uint8Array;
}

export const fingerprintAlgorithm = 1;
export const fingerprintDigestBytes = 32;

/**
 * SHA-256 over everything that makes a request the same request. Each piece is preceded by its length, so no two lists of
 * pieces compose to the same bytes.
 *
 * Two spellings of one JSON document, up to a size, are the same request: a client may well serialize again before it retries. Whether the canonical
 * form was hashed or the bytes is one of the pieces, so bytes cannot pose as a canonical form.
 *
 * @throws InvalidArgumentError for text with lone surrogates, which has no bytes of its own
 */
export function fingerprint(parts: FingerprintParts): Fingerprint {
  const essence = mediaTypeEssence(parts.mediaType);
  const canonical = isJson(essence) ? canonicalJson(parts.body) : undefined;
  const before =
    text('method', parts.method.toUpperCase()) +
    text('path', parts.path) +
    pairs('query', sortedByName(parts.query)) +
    text('mediaType', essence) +
    text('form', canonical === undefined ? 'bytes' : 'RFC 8785');
  const headers = sortedByName(parts.headers ?? []);
  // Nothing where there are none, so that a route may name a field later without disowning the requests that never sent it.
  const behind = headers.length > 0 ? pairs('headers', headers) : '';
  return { algorithm: fingerprintAlgorithm, digest: digestOf(before, canonical ?? parts.body, behind) };
}

function digestOf(before: string, body: string | Uint8Array, behind: string): Uint8Array {
  const composed =
    typeof body === 'string'
      ? // In one call, which costs less than a hash object.
        hash('sha256', before + piece(body) + behind, 'buffer')
      : createHash('sha256').update(`${before}${body.length}:`).update(body).update(behind).digest();
  return new Uint8Array(composed);
}

/**
 * In constant time, so that the time of an answer tells nothing about another's request. Fingerprints of two algorithms are
 * never the same: see `claim` for why that is the safe side.
 */
export function sameFingerprint(one: Fingerprint, other: Fingerprint): boolean {
  return (
    one.algorithm === other.algorithm &&
    one.digest.length === other.digest.length &&
    timingSafeEqual(one.digest, other.digest)
  );
}

/** RFC 9110, section 8.3.1: type and subtype are case-insensitive; what follows the semicolon are parameters. */
function mediaTypeEssence(mediaType: string | undefined): string {
  const [essence = ''] = (mediaType ?? '').split(';', 1);
  return essence.trim().toLowerCase();
}

function isJson(essence: string): boolean {
  return essence === 'application/json' || essence.endsWith('+json');
}

/** Names in the order of their code units; pairs of one name stay in theirs, for there the order has a meaning. */
function sortedByName(list: Iterable<readonly [string, string]>): (readonly [string, string])[] {
  return [...list].sort(([one], [other]) => (one < other ? -1 : Number(one > other)));
}

function pairs(field: string, list: readonly (readonly [string, string])[]): string {
  return list.reduce(
    (composed, [name, value]) => composed + text(field, name) + text(field, value),
    text(field, String(list.length)),
  );
}

function text(field: string, value: string): string {
  if (!value.isWellFormed())
    throw new InvalidArgumentError(field, value, 'well-formed Unicode, without lone surrogates');
  return piece(value);
}

/** Its length is that of its bytes in UTF-8, in which everything is hashed. */
function piece(value: string): string {
  return `${Buffer.byteLength(value)}:${value}`;
}
