import { InvalidInputError } from '../check-error.ts';
import { assertFieldName, assertMethod, assertSendable, bytesOf, mergeHeaders, withContentType } from './sendable.ts';
import { describeVariations, type Variations, type VariationsDescription } from './variations.ts';

/** The request that is checked, as a request file has it. */
export interface RequestDescription extends VariationsDescription {
  /** POST by default. */
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** A string or bytes are sent as they are, anything else as JSON. */
  readonly body?: unknown;
  /** Another payload that the endpoint accepts; made from a JSON `body` where it is not given. */
  readonly otherBody?: unknown;
}

/** The endpoint under check, and the two requests that are sent to it. */
export interface Target {
  readonly url: URL;
  readonly method: string;
  /** Without the key, in the order in which they are sent. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Buffer;
  /** `undefined` where nobody gave one and none can be made. */
  readonly otherBody: Buffer | undefined;
  /** The field that carries the key. */
  readonly keyHeader: string;
  /** Requests that are another operation, another tenant's, or fail. */
  readonly variations: Variations;
}

export interface TargetOptions {
  /** Sent with every request, and with reads of the count at the same origin. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly keyHeader?: string;
  /** What another tenant sends in the place of the headers of these names. */
  readonly otherTenant?: Readonly<Record<string, string>>;
}

/** @throws InvalidInputError, in words for who wrote the request */
export function describeTarget(address: string, request: RequestDescription, options: TargetOptions = {}): Target {
  const { method = 'POST', body, otherBody } = request;
  const { keyHeader = 'Idempotency-Key' } = options;
  assertMethod(method);
  assertFieldName(keyHeader);
  const given = mergeHeaders(Object.entries(request.headers ?? {}), Object.entries(options.headers ?? {}));
  for (const [name, value] of given) assertSendable(name, value, keyHeader);
  const headers = withContentType(given, body);
  const other = otherBody === undefined ? alteredBody(body) : otherBody;
  const url = readUrl(address);
  const { otherTenant } = options;
  return {
    url,
    method,
    headers,
    body: bytesOf(body),
    otherBody: other === undefined ? undefined : bytesOf(other),
    keyHeader,
    variations: describeVariations({ url, method, headers }, request, { keyHeader, otherTenant }),
  };
}

/** @throws InvalidInputError */
export function readUrl(address: string): URL {
  const url = URL.parse(address);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    // There may be a password in it.
    const shown = address.includes('@') ? 'what is given' : address;
    throw new InvalidInputError(`${shown} is not an address that begins with http:// or https://`);
  }
  // It would be printed wherever the address is.
  if (url.username !== '' || url.password !== '') {
    throw new InvalidInputError('the address has a user and a password in it; send them in a header instead');
  }
  return url;
}

/**
 * The same document with one leaf changed, in the least surprising way, so that an endpoint that validates accepts it too: the
 * first number is one more, or else the last string is longer, or else the first boolean is the other one.
 */
export function alteredBody(body: unknown): unknown {
  let document = body;
  if (typeof body === 'string') {
    try {
      document = JSON.parse(body);
    } catch {
      return undefined;
    }
  }
  if (typeof document !== 'object' || document === null || document instanceof Uint8Array) return undefined;
  const copy: unknown = structuredClone(document);
  const leaves = [...leavesOf(copy)];
  const leaf =
    leaves.find(({ value }) => Number.isSafeInteger(value)) ??
    leaves.findLast(({ value }) => typeof value === 'string') ??
    leaves.find(({ value }) => typeof value === 'boolean');
  if (leaf === undefined) return undefined;
  const { holder, name, value } = leaf;
  if (typeof value === 'number') holder[name] = value + 1;
  else holder[name] = typeof value === 'string' ? `${value}-other` : value !== true;
  return typeof body === 'string' ? JSON.stringify(copy) : copy;
}

interface Leaf {
  readonly holder: Record<string, unknown>;
  readonly name: string;
  readonly value: unknown;
}

function* leavesOf(document: unknown): Generator<Leaf> {
  const holder = document as Record<string, unknown>;
  for (const [name, value] of Object.entries(holder)) {
    if (typeof value === 'object' && value !== null) yield* leavesOf(value);
    else yield { holder, name, value };
  }
}
