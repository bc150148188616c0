import { killClasses, type Arming, type KillClass } from './kill-point.ts';
import { OperationMaker, type Operation } from './operation.ts';
import { Seeded } from '../seeded.ts';

/** What a round does: a function of the seed, the round and the try. */
export interface RoundPlan {
  readonly round: number;
  /** From 1. A round whose kill missed is tried again, with operations of new names. */
  readonly turn: number;
  readonly killClass: KillClass;
  readonly strike: Strike;
  /** Which step of its start kills the service each time that it is started again. */
  readonly recoveries: readonly number[];
  /** What each client sends, one after another; they work at once. Duplicates are the same object. */
  readonly clients: readonly (readonly Operation[])[];
  /** Requests that must be in flight when the kill strikes. */
  readonly inFlightMin: number;
}

export type Strike =
  | ({ readonly by: 'process' } & Arming)
  /** The proxy lets this part of the n-th response through, then kills. */
  | { readonly by: 'proxy'; readonly response: number; readonly part: number }
  /** The driver kills so long after so many answers. */
  | { readonly by: 'driver'; readonly answers: number; readonly delayMs: number };

/** In blocks that have each class once, so a run of a block's length has killed in every way. */
export function classOfRound(seed: number, round: number): KillClass {
  const block = Math.floor((round - 1) / killClasses.length);
  const shuffled = new Seeded(mix(seed, block, 0)).shuffled(killClasses);
  const killClass = shuffled[(round - 1) % killClasses.length];
  if (killClass === undefined) throw new Error('assertion failed: a block has every class');
  return killClass;
}

export function planRound(seed: number, round: number, turn: number): RoundPlan {
  const killClass = classOfRound(seed, round);
  const seeded = new Seeded(mix(seed, round, turn));
  const isBacklog = killClass === 'backlog';
  const strike = isBacklog ? backlogStrike(seeded) : strikeOf(killClass, seeded);
  const recoveries = killClass === 'recovery' ? [seeded.integer(1, 14), seeded.integer(1, 14)] : [];
  const maker = new OperationMaker(seeded, `r${round}.${turn}`);
  const shape = isBacklog ? { clients: 240, slots: 1 } : { clients: 16, slots: 4 };
  const clients = planClients(seeded, maker, shape);
  return { round, turn, killClass, strike, recoveries, clients, inFlightMin: isBacklog ? 200 : 1 };
}

function strikeOf(killClass: Exclude<KillClass, 'backlog'>, seeded: Seeded): Strike {
  switch (killClass) {
    case 'after-claim':
    case 'after-mutation':
      return { by: 'process', point: killClass, hit: seeded.integer(1, 12) };
    case 'before-log-write':
    case 'amid-log-write':
    case 'between-write-and-sync':
    case 'after-sync':
      return { by: 'process', point: killClass, hit: seeded.integer(1, 4) };
    case 'mid-response':
      return { by: 'proxy', response: seeded.integer(1, 48), part: seeded.pick([0.5, 0.5, seeded.fraction()]) };
    case 'random':
      return { by: 'driver', answers: seeded.integer(0, 56), delayMs: seeded.integer(0, 3) };
    case 'recovery':
      // What was written and not synced, in whole or in part, gives the recovery something to do.
      return {
        by: 'process',
        point: seeded.pick(['amid-log-write', 'between-write-and-sync']),
        hit: seeded.integer(1, 2),
      };
  }
}

/** Nothing has been answered yet when it strikes, so all requests are in flight. */
function backlogStrike(seeded: Seeded): Strike {
  const point = seeded.pick([
    'after-claim',
    'after-mutation',
    'before-log-write',
    'amid-log-write',
    'between-write-and-sync',
    'after-sync',
    'random',
  ] as const);
  if (point === 'random') return { by: 'driver', answers: 0, delayMs: seeded.integer(0, 10) };
  const hit = point === 'after-claim' || point === 'after-mutation' ? seeded.integer(1, 8) : 1;
  return { by: 'process', point, hit };
}

/** How many clients send the same operation at once. */
const senders = [1, 1, 1, 1, 2, 2, 3, 3, 5, 8] as const;

export function planClients(
  seeded: Seeded,
  maker: OperationMaker,
  shape: { readonly clients: number; readonly slots: number },
): readonly (readonly Operation[])[] {
  const clients: Operation[][] = Array.from({ length: shape.clients }, () => []);
  for (let slot = 0; slot < shape.slots; slot++) {
    const free = seeded.shuffled(clients);
    while (free.length > 0) {
      const operation = maker.make();
      for (const client of free.splice(0, seeded.pick(senders))) client.push(operation);
    }
  }
  return clients;
}

/** Another seed for each round and turn, far from its neighbours. */
export function mix(...parts: readonly number[]): number {
  return parts.reduce((sum, part) => Math.imul(sum ^ (part + 0x9e37_79b9), 0x85eb_ca6b) ^ (sum >>> 13), 0x5bd1_e995);
}
