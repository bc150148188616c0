import { InvalidArgumentError } from '../kv/errors.ts';
import type { Answer, HeaderPair } from './answer.ts';

/**
 * The fields that describe the body or lead the client on. A list of what is kept, not of what is dropped: a field that
 * nobody thought of must not hand one caller's secret to whoever retries.
 */
const keptAlways: readonly string[] = Object.freeze([
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'content-location',
  'content-type',
  'etag',
  'last-modified',
  'link',
  'location',
  'retry-after',
  'vary',
]);

/** What no route may add: credentials, what belongs to one connection (RFC 9110, section 7.6.1), and what the server writes itself. */
const keptNever: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'date',
  'idempotency-expires',
  'idempotency-outcome',
  'idempotent-replayed',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authentication-info',
  'proxy-authorization',
  'proxy-connection',
  'set-cookie',
  'set-cookie2',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** The names that a route keeps: the usual ones and its own. @throws InvalidArgumentError */
export function keptHeaderNames(added: readonly string[]): ReadonlySet<string> {
  const names = fieldNames('headers', added);
  for (const name of names) {
    if (keptNever.has(name)) throw new InvalidArgumentError('headers', name, 'only fields that may be sent again');
  }
  return new Set([...keptAlways, ...names]);
}

const fieldName = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;

/** In lower case, as requests and answers have them. @throws InvalidArgumentError */
export function fieldNames(option: string, names: readonly string[]): readonly string[] {
  const lower = names.map((name) => name.toLowerCase());
  for (const name of lower) {
    if (!fieldName.test(name)) throw new InvalidArgumentError(option, name, 'names of header fields');
  }
  return lower;
}

/** The part of an answer that is kept, and sent again byte for byte. */
export function keptPart(answer: Answer, names: ReadonlySet<string>): Answer {
  const nominated = connectionOptions(answer.headers);
  return { ...answer, headers: answer.headers.filter(([name]) => names.has(name) && !nominated.has(name)) };
}

/** Cookies go out with the executing answer alone: they are never kept, and a replay must not set them. */
export function cookies(answer: Answer): readonly HeaderPair[] {
  return answer.headers.filter(([name]) => name === 'set-cookie');
}

/** An answer of which nothing is kept goes out as it is, but for what the server itself writes. */
export function sendable(answer: Answer): Answer {
  const nominated = connectionOptions(answer.headers);
  const stays = ([name]: HeaderPair): boolean => name === 'set-cookie' || !(keptNever.has(name) || nominated.has(name));
  return { ...answer, headers: answer.headers.filter(stays) };
}

const none: ReadonlySet<string> = new Set();

/** RFC 9110, section 7.6.1: the fields that `Connection` names belong to one connection, too. */
function connectionOptions(headers: readonly HeaderPair[]): ReadonlySet<string> {
  const named = headers.find(([name]) => name === 'connection')?.[1];
  return named === undefined ? none : new Set(named.split(',').map((name) => name.trim().toLowerCase()));
}
