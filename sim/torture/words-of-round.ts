import type { RoundPlan } from './plan.ts';
import type { RoundPlan as PostgresRoundPlan } from './postgres/plan.ts';
import type { RoundResult as PostgresRoundResult } from './postgres/round.ts';
import type { RoundResult } from './round.ts';

/** A round in one line. */
export function wordsOfRound({ round, turn, killClass, strike, clients }: RoundPlan, result: RoundResult): string {
  const where = strike.by === 'process' ? `${strike.point} ${strike.hit}` : `by the ${strike.by}`;
  const plan = `${name(round, turn)}: ${killClass} (${where}), ${clients.length} clients`;
  if (result.missed !== undefined) return `${plan}; missed: ${result.missed}`;
  const { cut, unanswered, steps } = result;
  const starts = steps.map((step) => `, start killed ${step}`).join('');
  return `${plan}; ${cut} requests cut, ${unanswered} operations unanswered${starts}`;
}

export function wordsOfPostgresRound(
  { round, turn, killClass, strike, slot, clients }: PostgresRoundPlan,
  { missed, cut, unanswered }: PostgresRoundResult,
): string {
  const where = 'hit' in strike ? `${strike.hit} of service ${slot}` : `by the ${strike.by}, service ${slot}`;
  const plan = `${name(round, turn)}: ${killClass} (${where}), ${clients.length} clients`;
  if (missed !== undefined) return `${plan}; missed: ${missed}`;
  return `${plan}; ${cut} requests cut, ${unanswered} operations unanswered`;
}

function name(round: number, turn: number): string {
  return `round ${round}${turn === 1 ? '' : `, turn ${turn}`}`;
}
