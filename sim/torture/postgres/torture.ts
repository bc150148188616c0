import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Seeded } from '../../seeded.ts';
import { Client } from '../client.ts';
import { readEntries, replay } from '../examination.ts';
import { Journal } from '../journal.ts';
import { openingOperations } from '../operation.ts';
import { Oracle } from '../oracle.ts';
import { missesMax, type Tally, type TortureReport } from '../torture.ts';
import { demand, Violation } from '../violation.ts';
import { killClasses } from './kill-class.ts';
import { planRound, type RoundPlan } from './plan.ts';
import { runRound, type Arena, type RoundResult } from './round.ts';
import { PostgresSite } from './site.ts';

export interface PostgresTortureOptions {
  readonly rounds: number;
  readonly seed: number;
  /** The program of each service's process. Default: the right one. */
  readonly entry?: string;
  readonly onRound?: (plan: RoundPlan, result: RoundResult) => void;
}

/** Runs rounds of kills against two real services over one PostgreSQL, so that each round builds on the ones before. */
export async function torturePostgres(options: PostgresTortureOptions): Promise<TortureReport> {
  const { rounds, entry = join(import.meta.dirname, '..', 'server.ts') } = options;
  const directory = mkdtempSync(join(tmpdir(), 'semel-torture-'));
  const journal = new Journal(join(directory, 'journal.jsonl'));
  const oracle = new Oracle(journal);
  const kills = Object.fromEntries(killClasses.map((killClass) => [killClass, 0]));
  const tally: Tally = { operations: 0, requests: 0, cut: 0, unanswered: 0, replays: 0, misses: 0, kills };
  const site = await PostgresSite.open(directory, entry, journal);
  const arena: Arena = { site, journal, oracle };
  let round = 0;
  const count = (): void => {
    const { histories, requests } = journal;
    Object.assign(tally, { operations: histories.length, requests, replays: oracle.replays });
  };
  try {
    await new Client(0, openingOperations(), journal, oracle).work(site.slot(0).connections);
    while (round < rounds) {
      round += 1;
      await untilItStrikes(arena, round, options, tally);
    }
    await close(arena);
    count();
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    const { operation } = error;
    const history = journal.histories.find((candidate) => candidate.operation.id === operation);
    const story = history === undefined ? [] : [JSON.stringify(history.operation), ...history.story];
    count();
    return { outcome: 'violated', tally, violation: error, round, story, directory };
  } finally {
    await site.close();
    journal.close();
  }
  rmSync(directory, { recursive: true });
  return { outcome: 'clean', tally };
}

async function untilItStrikes(
  arena: Arena,
  round: number,
  { seed, rounds, onRound }: PostgresTortureOptions,
  tally: Tally,
): Promise<void> {
  for (let turn = 1; ; turn++) {
    const plan = planRound(seed, round, turn);
    const { killClass, strike } = plan;
    arena.journal.note({ event: 'round', round, turn, killClass, strike });
    const result = await runRound(arena, plan);
    await replaySome(arena, new Seeded(seed + round));
    onRound?.(plan, result);
    tally.cut += result.cut;
    tally.unanswered += result.unanswered;
    if (result.missed === undefined) {
      tally.kills[killClass] = (tally.kills[killClass] ?? 0) + 1;
      return;
    }
    tally.misses += 1;
    const words = `${tally.misses} in ${round} rounds, the last: ${result.missed}`;
    demand(tally.misses <= missesMax(rounds), 'kills strike', words);
  }
}

/** Of earlier rounds, as many as cost little. */
async function replaySome({ journal, oracle, site }: Arena, seeded: Seeded): Promise<void> {
  const { histories } = journal;
  const some = Array.from({ length: 16 }, () => seeded.pick(histories).operation);
  await replay(some, site.slot(seeded.integer(0, 1)).connections, oracle);
}

/** Everything that was ever answered is answered again, by the one service and by the other, and that changes nothing. */
async function close({ site, journal, oracle }: Arena): Promise<void> {
  const operations = journal.histories.map(({ operation }) => operation);
  for (const { connections } of site.slots) {
    await replay(operations, connections, oracle);
    oracle.compareState(await readEntries(connections));
  }
}

/** The rounds in which a run has killed in each way at least once. */
export const roundsMin = killClasses.length;
