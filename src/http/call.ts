import type { Transaction } from '../kv/store.ts';
import { readResponse, type Answer } from './answer.ts';
import type { Incoming } from './incoming.ts';
import type { Reading } from './read-stream.ts';
import { keepOf, passingBytesMax, type Keep, type Route } from './route.ts';

/** One request to a route, its body read. */
export interface Call<Context> {
  readonly incoming: Incoming;
  readonly body: Uint8Array<ArrayBuffer>;
  readonly context: Context;
}

export interface Made {
  readonly answer: Answer;
  readonly keep: Keep;
}

/**
 * Runs the handler in one attempt and reads its response to the end, as long as the transaction is open. When it is no longer,
 * for its deadline has passed, say, `reading.signal` ends the reading.
 */
export async function makeAnswer<Tx extends Transaction, Context>(
  route: Route<Tx, Context>,
  { incoming, body, context }: Call<Context>,
  tx: Tx,
  reading: Reading,
): Promise<Made> {
  const answer = await readPassing(await route.handler(incoming.toRequest(body), tx, context), reading);
  return { answer, keep: keepOf(route, answer.status) };
}

/** Why a reading was ended. One for all requests, for nobody hears of it. */
export const nobodyWaits: Error = new Error('nobody waits for this response any longer');

/** @throws ResponseTooLarge */
export async function readPassing(response: unknown, reading: Reading): Promise<Answer> {
  const read = await readResponse(response, passingBytesMax, reading);
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
