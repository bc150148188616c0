import { parseArgs } from 'node:util';
import type { Claim } from './claim.ts';

/** What was ordered on the command line. */
export interface Order {
  readonly only: string | undefined;
  readonly rounds: number;
  readonly turnMs: number;
  readonly write: boolean;
}

export function readOrder(defaults: { readonly turnMs: number }): Order {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      rounds: { type: 'string', default: '5' },
      'turn-ms': { type: 'string', default: String(defaults.turnMs) },
      write: { type: 'boolean', default: false },
    },
  });
  const { only, rounds, write } = values;
  return { only, rounds: Number(rounds), turnMs: Number(values['turn-ms']), write };
}

export function chosenOf(claims: readonly Claim[], { only, write }: Order): readonly Claim[] {
  const chosen = claims.filter(({ name }) => only === undefined || name === only);
  if (chosen.length === 0)
    throw new Error(`no claim "${only}"; there are ${claims.map(({ name }) => name).join(', ')}`);
  if (write && chosen.length < claims.length) throw new Error('the page is written of all claims, measured in one run');
  return chosen;
}
