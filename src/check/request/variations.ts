import { InvalidInputError } from '../check-error.ts';
import { assertMethod, assertSendable, bytesOf, mergeHeaders, withContentType, type HeaderFields } from './sendable.ts';

/** A request that is not the given one, whole. */
export interface Variation {
  /** What it is sent for, in a word; scripts name their functions and variables by it. */
  readonly name: string;
  readonly url: URL;
  readonly method: string;
  readonly headers: HeaderFields;
  /** `undefined` where it has the payloads of the given request. */
  readonly body: Buffer | undefined;
}

/** Where a request differs from the given one; what is absent is as it is there. */
export interface VariationDescription {
  /** Of the same origin; it may be relative to the address of the given request. */
  readonly url?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** What a request file can say of other requests than the given one. */
export interface VariationsDescription {
  /** The query of another operation at the same path, which acts by itself. */
  readonly otherQuery?: string;
  /** The path of another resource that takes the same request, and acts by itself. */
  readonly otherPath?: string;
  /** Another method that takes the same request, and acts by itself. */
  readonly otherMethod?: string;
  /** A request to another endpoint, which acts by itself. */
  readonly otherEndpoint?: VariationDescription;
  /** Requests that fail by 4xx or 5xx whenever they are sent. */
  readonly failing?: readonly VariationDescription[];
  /** HeaderFields with which the given request fails, of a cause that is gone when they are absent. */
  readonly failOnce?: { readonly headers: Readonly<Record<string, string>> };
}

export interface Variations {
  /** Where nobody gave one it has a parameter that no endpoint knows. */
  readonly query: Variation;
  readonly isQueryGiven: boolean;
  readonly path: Variation | undefined;
  readonly method: Variation | undefined;
  readonly endpoint: Variation | undefined;
  readonly tenant: Variation | undefined;
  readonly failing: readonly Variation[];
  readonly failOnce: Variation | undefined;
}

export interface VariationsOptions {
  readonly keyHeader: string;
  readonly otherTenant: Readonly<Record<string, string>> | undefined;
}

type Base = Pick<Variation, 'url' | 'method' | 'headers'>;

/** @throws InvalidInputError, in words for who wrote the request */
export function describeVariations(
  base: Base,
  request: VariationsDescription,
  { keyHeader, otherTenant }: VariationsOptions,
): Variations {
  const { otherQuery, otherPath, otherMethod, otherEndpoint, failing = [], failOnce } = request;
  const vary = (name: string, given: VariationDescription | undefined): Variation | undefined =>
    given === undefined ? undefined : describeVariation(base, name, given, keyHeader);
  const { search } = base.url;
  const other = <Given extends Variation | undefined>(variation: Given): Given => {
    if (variation === undefined || identityOf(variation) !== identityOf(base)) return variation;
    throw new InvalidInputError(`what is given as ${variation.name} is the given request itself`);
  };
  const unknown = `${search === '' ? '?' : `${search}&`}semel-check=1`;
  return {
    query:
      otherQuery === undefined
        ? withUrl(base, 'other-query', unknown)
        : other(withUrl(base, 'other-query', `?${otherQuery.replace(/^\?/, '')}`)),
    isQueryGiven: otherQuery !== undefined,
    path: other(otherPath === undefined ? undefined : withUrl(base, 'other-path', pathOf(otherPath) + search)),
    method: other(vary('other-method', otherMethod === undefined ? undefined : { method: otherMethod })),
    endpoint: other(vary('other-endpoint', otherEndpoint)),
    tenant: other(vary('other-tenant', otherTenant === undefined ? undefined : { headers: otherTenant })),
    failing: failing.map((given, index) =>
      describeVariation(base, failing.length === 1 ? 'failing' : `failing-${index + 1}`, given, keyHeader),
    ),
    failOnce: vary('fail-once', failOnce),
  };
}

/** A mistake that would be taken for a failure of the endpoint: the same request is rightly answered by the first result. */
function identityOf({ url, method, headers, body }: Base & Partial<Variation>): string {
  const fields = headers.map(([name, value]) => `${name.toLowerCase()}: ${value}`).toSorted();
  return JSON.stringify([url.href, method, fields, body?.toString('latin1')]);
}

function withUrl(base: Base, name: string, url: string): Variation {
  return { ...base, name, url: sameOriginUrl(url, base.url), body: undefined };
}

function describeVariation(base: Base, name: string, given: VariationDescription, keyHeader: string): Variation {
  const { url = base.url.href, method = base.method, headers = {}, body } = given;
  assertMethod(method);
  for (const [field, value] of Object.entries(headers)) assertSendable(field, value, keyHeader);
  return {
    name,
    url: sameOriginUrl(url, base.url),
    method,
    headers: withContentType(mergeHeaders(base.headers, Object.entries(headers)), body),
    body: body === undefined ? undefined : bytesOf(body),
  };
}

function pathOf(given: string): string {
  if (/^\/[^?#]*$/.test(given)) return given;
  throw new InvalidInputError(`${given} is not a path: it begins with a slash, and has no query`);
}

/** What was agreed to is one host, and its headers are for no other. */
function sameOriginUrl(address: string, base: URL): URL {
  const url = URL.parse(address, base.href);
  if (url === null || url.origin !== base.origin || url.username !== '' || url.password !== '') {
    throw new InvalidInputError(`${address} is no address at ${base.origin}, where the request is sent`);
  }
  return url;
}
