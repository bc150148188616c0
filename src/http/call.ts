import type { Transaction } from '../kv/store.ts';
import { readResponse, type Answer, type AnswerSource } from './answer.ts';
import type { Incoming } from './incoming.ts';
import type { Reading } from './read-stream.ts';
import { keepOf, passingBytesMax, type Keep, type Route } from './route.ts';

/** One request to a route, its body read. */
export interface Call<Context> {
  readonly incoming: Incoming;
  readonly body: Uint8Array<ArrayBuffer>;
  readonly context: Context;
}

/** Each who reads it gets one of his own, for a body can be read once. */
export function requestOf({ incoming, body }: Pick<Call<never>, 'incoming' | 'body'>): Request {
  return incoming.toRequest(body);
}

export interface Made {
  readonly answer: Answer;
  readonly keep: Keep;
}

/**
 * Runs the handler in one attempt and reads its response to the end, as long as the transaction is open. When it is no longer,
 * for its deadline has passed, say, `reading.interest` ends the reading.
 */
export async function makeAnswer<Tx extends Transaction, Context>(
  route: Route<Tx, Context>,
  call: Call<Context>,
  tx: Tx,
  reading: Reading,
): Promise<Made> {
  const answer = await readPassing(await route.handler(requestOf(call), tx, call.context), 'handler', reading);
  return { answer, keep: keepOf(route, answer.status) };
}

/** @throws ResponseTooLarge */
export async function readPassing(response: unknown, source: AnswerSource, reading: Reading): Promise<Answer> {
  const read = await readResponse(response, source, passingBytesMax, reading);
  if (read.outcome === 'too-large') throw new ResponseTooLarge('passingBytesMax', passingBytesMax);
  return read.answer;
}

/** Thrown inside the transaction, so that it commits nothing; the exchange answers it with a problem. */
export class ResponseTooLarge extends Error {
  readonly limit: 'passingBytesMax' | 'responseBytesMax';
  readonly maximum: number;

  constructor(limit: ResponseTooLarge['limit'], maximum: number) {
    super(`the response has more than ${limit}, ${maximum} bytes`);
    this.name = 'ResponseTooLarge';
    this.limit = limit;
    this.maximum = maximum;
  }
}
