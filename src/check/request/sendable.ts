import { InvalidInputError } from '../check-error.ts';

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;

/** @throws InvalidInputError */
export function assertMethod(method: unknown): asserts method is string {
  if (typeof method !== 'string' || !token.test(method))
    throw new InvalidInputError(`${JSON.stringify(method)} is not a method`);
}

/** @throws InvalidInputError */
export function assertFieldName(name: string): void {
  if (!token.test(name)) throw new InvalidInputError(`${JSON.stringify(name)} is not the name of a field`);
}

/** @throws InvalidInputError */
export function assertSendable(name: string, value: unknown, keyHeader: string): void {
  assertFieldName(name);
  // eslint-disable-next-line no-control-regex -- what HTTP forbids in a value
  if (typeof value !== 'string' || /[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]/.test(value)) {
    throw new InvalidInputError(`the value of the header ${name} cannot be sent`);
  }
  const lower = name.toLowerCase();
  if (lower === keyHeader.toLowerCase()) {
    throw new InvalidInputError(`the checker makes the keys itself; take ${name} out of the headers`);
  }
  if (['host', 'content-length', 'transfer-encoding', 'connection', 'expect'].includes(lower)) {
    throw new InvalidInputError(`the checker writes ${name} itself; take it out of the headers`);
  }
}

/** A string or bytes as they are, anything else as JSON. */
export function bytesOf(body: unknown): Buffer {
  if (body === undefined) return Buffer.alloc(0);
  if (body instanceof Uint8Array) return Buffer.from(body);
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

export type HeaderFields = readonly (readonly [name: string, value: string])[];

/** JSON that does not say what it is would be taken for a form, or refused. */
export function withContentType(headers: HeaderFields, body: unknown): HeaderFields {
  const isJson = body !== undefined && typeof body !== 'string' && !(body instanceof Uint8Array);
  if (!isJson || headers.some(([name]) => /^content-type$/i.test(name))) return headers;
  return [...headers, ['Content-Type', 'application/json']];
}

/** The later ones win; names of fields are the same in either case. */
export function mergeHeaders(...given: readonly HeaderFields[]): HeaderFields {
  return [...new Map(given.flat().map((field) => [field[0].toLowerCase(), field])).values()];
}
