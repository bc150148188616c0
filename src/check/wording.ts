import type { Answer, Exchange } from './wire.ts';

/** What became of a request that was repeated while its operation was in progress. */
export type Settled =
  | { readonly outcome: 'answered'; readonly answer: Answer }
  | { readonly outcome: 'unsettled'; readonly seen: string };

export function describeExchange(exchange: Exchange): string {
  return exchange.outcome === 'answered' ? String(exchange.answer.status) : `not at all (${exchange.reason})`;
}

export function describeSettled(settled: Settled): string {
  return settled.outcome === 'answered' ? String(settled.answer.status) : settled.seen;
}

/** "49 times 201, once 409" */
export function tally(words: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return [...counts].map(([word, count]) => `${times(count)} ${word}`).join(', ');
}

export function times(count: number): string {
  if (count === 0) return 'never';
  if (count === 1) return 'once';
  return count === 2 ? 'twice' : `${count} times`;
}
