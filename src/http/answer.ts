import { assert } from '../kv/assert.ts';
import { InvalidArgumentError } from '../kv/errors.ts';
import type { Value } from '../kv/value.ts';
import { readStream, type Reading } from './read-stream.ts';

/** A response that is all there: nothing of it is still to be read, so it can be kept, sent and sent again. */
export interface Answer {
  readonly status: number;
  /** Names in lower case. One pair for each `Set-Cookie`; other fields of one name are one pair, joined by commas. */
  readonly headers: readonly HeaderPair[];
  readonly body: Uint8Array<ArrayBuffer>;
}

export type HeaderPair = readonly [name: string, value: string];

export type ReadResponse = { readonly outcome: 'read'; readonly answer: Answer } | { readonly outcome: 'too-large' };

/**
 * Reads to the end what `source` returned: the handler, say.
 *
 * @throws InvalidArgumentError where that is no usable Response; and whatever the response's own stream throws
 */
export async function readResponse(
  response: unknown,
  source: AnswerSource,
  bytesMax: number,
  reading: Reading,
): Promise<ReadResponse> {
  if (!isResponse(response)) {
    throw new InvalidArgumentError(`what the ${source} returned`, response, expected[source]);
  }
  // `Response.error()` has status 0, and no answer can be made of it.
  if (response.status < 200) throw new InvalidArgumentError('the status', response.status, 'a status from 200 to 599');
  if (response.bodyUsed) throw new InvalidArgumentError('the body', 'used up', 'one that nobody has read yet');
  const read = await readStream(response.body, bytesMax, reading);
  if (read.outcome === 'too-large') return read;
  return { outcome: 'read', answer: { status: response.status, headers: [...response.headers], body: read.bytes } };
}

/** Which of a route's functions made an answer. */
export type AnswerSource = 'handler' | 'guard' | 'replay';

const expected: Readonly<Record<AnswerSource, string>> = {
  handler: 'a Response: a handler returns its answer, and sends nothing itself',
  guard: 'a Response to refuse the request, or undefined to let it pass',
  replay: 'a Response, or undefined where there is none any more',
};

/** By its brand, not its class: a Response of the package `undici`, or of another realm, is as good. */
function isResponse(value: unknown): value is Response {
  return Object.prototype.toString.call(value) === '[object Response]';
}

/** Fetch, "null body status", as far as a handler can answer with it. */
const statusesWithoutBody: ReadonlySet<number> = new Set([204, 205, 304]);

export function toResponse(answer: Answer): Response {
  return new Response(statusesWithoutBody.has(answer.status) ? null : answer.body, {
    status: answer.status,
    headers: answer.headers.map(([name, value]): [string, string] => [name, value]),
  });
}

export function withHeaders(answer: Answer, headers: readonly HeaderPair[]): Answer {
  return { ...answer, headers: [...answer.headers, ...headers] };
}

/** The form in which a record holds it. */
export function encodeAnswer(answer: Answer): Value {
  return { status: answer.status, headers: answer.headers, body: answer.body };
}

export function decodeAnswer(stored: Value): Answer {
  assert(typeof stored === 'object' && stored !== null && 'body' in stored, 'a kept answer is an object');
  const { status, headers, body } = stored;
  assert(typeof status === 'number' && status >= 200 && status <= 599, 'a kept answer has a status');
  assert(body instanceof Uint8Array, 'a kept answer has its bytes');
  assert(Array.isArray(headers), 'a kept answer has its headers');
  return { status, headers: headers.map(decodePair), body: new Uint8Array(body) };
}

function decodePair(stored: Value): HeaderPair {
  assert(Array.isArray(stored) && stored.length === 2, 'a kept header is a pair');
  const [name, value]: readonly Value[] = stored;
  assert(typeof name === 'string' && typeof value === 'string', 'a kept header is a pair of texts');
  return [name, value];
}
