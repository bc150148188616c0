import type { Value } from '../kv/value.ts';
import { decodeAnswer, encodeAnswer, toResponse, type Answer } from './answer.ts';
import { ResponseTooLarge } from './call.ts';
import { keptPart } from './kept-headers.ts';
import type { Keep, Route } from './route.ts';

/** What a record holds of an answer. */
export type Kept =
  | { readonly store: 'response'; readonly answer: Answer }
  | { readonly store: 'reference'; readonly reference: Value };

/** @throws ResponseTooLarge, for what can't be kept whole must not take effect: a retry could not be answered */
export async function encodeKept(
  route: Pick<Route<never, never>, 'reference' | 'headerNames' | 'responseBytesMax'>,
  answer: Answer,
  keep: Keep,
): Promise<Value> {
  // Only what took effect has something that an id could name.
  if (route.reference !== undefined && keep === 'all') {
    return { reference: await route.reference.reference(toResponse(answer)) };
  }
  const kept = keptPart(answer, route.headerNames);
  if (keptBytes(kept) > route.responseBytesMax) throw new ResponseTooLarge('responseBytesMax', route.responseBytesMax);
  return encodeAnswer(kept);
}

export function decodeKept(stored: Value): Kept {
  if (typeof stored === 'object' && stored !== null && 'reference' in stored) {
    return { store: 'reference', reference: stored['reference'] ?? null };
  }
  return { store: 'response', answer: decodeAnswer(stored) };
}

/**
 * The response in an operation's stored result, as `look` shows it; `undefined` where a reference alone was kept. Only for results
 * that a route of this module made.
 */
export function keptResponse(result: Value): Response | undefined {
  const kept = decodeKept(result);
  return kept.store === 'response' ? toResponse(kept.answer) : undefined;
}

/** As the record holds them: in UTF-8, where a character of a header field may take two. */
function keptBytes({ headers, body }: Answer): number {
  return headers.reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + Buffer.byteLength(value), body.length);
}
