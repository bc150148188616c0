import { Seeded } from '../../seeded.ts';
import { OperationMaker, type Operation } from '../operation.ts';
import { mix, planClients } from '../plan.ts';
import { killClasses, type KillClass, type Place, type ServicePoint, type Victim } from './kill-class.ts';

/** What a round does: a function of the seed, the round and the try. */
export interface RoundPlan {
  readonly round: number;
  /** From 1. A round whose kill missed is tried again, with operations of new names. */
  readonly turn: number;
  readonly killClass: KillClass;
  readonly strike: Strike;
  /** Which of the two services it is about. */
  readonly slot: 0 | 1;
  /** What each client sends, one after another; they work at once, by turns at one service and the other. Duplicates are the same object. */
  readonly clients: readonly (readonly Operation[])[];
}

export type Strike =
  /** The service kills itself, the n-th time that it passes the point. */
  | { readonly by: 'process'; readonly point: ServicePoint; readonly hit: number }
  /** The wire between the service and the database strikes at the n-th statement, or COMMIT, that the service sends. */
  | {
      readonly by: 'wire';
      readonly victim: Victim;
      readonly place: Place;
      readonly what: 'statement' | 'commit';
      readonly hit: number;
    }
  /** The proxy before the service lets this part of the n-th response through, then kills the service. */
  | { readonly by: 'proxy'; readonly response: number; readonly part: number }
  /** The driver kills so long after so many answers. */
  | { readonly by: 'driver'; readonly victim: Victim; readonly answers: number; readonly delayMs: number };

/** In blocks that have each class once, so a run of a block's length has killed in every way. */
export function classOfRound(seed: number, round: number): KillClass {
  const block = Math.floor((round - 1) / killClasses.length);
  const killClass = new Seeded(mix(seed, block, 0)).shuffled(killClasses)[(round - 1) % killClasses.length];
  if (killClass === undefined) throw new Error('assertion failed: a block has every class');
  return killClass;
}

export function planRound(seed: number, round: number, turn: number): RoundPlan {
  const killClass = classOfRound(seed, round);
  const seeded = new Seeded(mix(seed, round, turn));
  const strike = strikeOf(killClass, seeded);
  const slot = seeded.pick([0, 1] as const);
  const maker = new OperationMaker(seeded, `r${round}.${turn}`);
  const clients = planClients(seeded, maker, { clients: 16, slots: 4 });
  return { round, turn, killClass, strike, slot, clients };
}

function strikeOf(killClass: KillClass, seeded: Seeded): Strike {
  const atCommit = (victim: Victim, place: Place): Strike => ({
    by: 'wire',
    victim,
    place,
    what: 'commit',
    hit: seeded.integer(1, 8),
  });
  switch (killClass) {
    case 'service-after-claim':
      return { by: 'process', point: 'after-claim', hit: seeded.integer(1, 8) };
    case 'service-after-mutation':
      return { by: 'process', point: 'after-mutation', hit: seeded.integer(1, 8) };
    case 'service-before-commit':
      return { by: 'process', point: 'before-commit', hit: seeded.integer(1, 8) };
    case 'service-amid-commit':
      return atCommit('service', 'amid');
    case 'service-mid-response':
      return { by: 'proxy', response: seeded.integer(1, 20), part: seeded.pick([0.5, 0.5, seeded.fraction()]) };
    case 'service-random':
      return { by: 'driver', victim: 'service', answers: seeded.integer(0, 40), delayMs: seeded.integer(0, 5) };
    case 'backend-before-statement':
      return { by: 'wire', victim: 'backend', place: 'before', what: 'statement', hit: seeded.integer(1, 80) };
    case 'backend-after-statement':
      return { by: 'wire', victim: 'backend', place: 'after', what: 'statement', hit: seeded.integer(1, 80) };
    case 'backend-before-commit':
      return atCommit('backend', 'before');
    case 'backend-amid-commit':
      return atCommit('backend', 'amid');
    case 'backend-after-commit':
      return atCommit('backend', 'after');
    case 'server-before-commit':
      return atCommit('server', 'before');
    case 'server-amid-commit':
      return atCommit('server', 'amid');
    case 'server-after-commit':
      return atCommit('server', 'after');
    case 'server-random':
      return { by: 'driver', victim: 'server', answers: seeded.integer(0, 40), delayMs: seeded.integer(0, 5) };
  }
}
