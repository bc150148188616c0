import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from './client.ts';
import { readEntries, replay } from './examination.ts';
import { Journal } from './journal.ts';
import { killClasses } from './kill-point.ts';
import { openingOperations } from './operation.ts';
import { Oracle } from './oracle.ts';
import { planRound, type RoundPlan } from './plan.ts';
import { runRound, type Arena, type RoundResult } from './round.ts';
import { Seeded } from '../seeded.ts';
import { Site } from './site.ts';
import { demand, Violation } from './violation.ts';

export interface TortureOptions {
  readonly rounds: number;
  readonly seed: number;
  /** The program of the service's process. Default: the right one. */
  readonly entry?: string;
  readonly onRound?: (plan: RoundPlan, result: RoundResult) => void;
}

export interface Tally {
  operations: number;
  requests: number;
  /** Requests that were in flight when the service was killed. */
  cut: number;
  /** Operations that had been sent, and not answered to anybody, when it was killed. */
  unanswered: number;
  replays: number;
  misses: number;
  readonly kills: Record<string, number>;
}

export type TortureReport =
  | { readonly outcome: 'clean'; readonly tally: Tally }
  | {
      readonly outcome: 'violated';
      readonly tally: Tally;
      readonly violation: Violation;
      readonly round: number;
      /** Everything that the clients know of the operation, a line an event. */
      readonly story: readonly string[];
      /** Where data, journal and log have been kept. */
      readonly directory: string;
    };

/** Runs rounds of kills against the real service on one directory, so that each recovery builds on the ones before. */
export async function torture({ rounds, seed, onRound, entry }: TortureOptions): Promise<TortureReport> {
  const directory = mkdtempSync(join(tmpdir(), 'semel-torture-'));
  mkdirSync(join(directory, 'data'));
  const journal = new Journal(join(directory, 'journal.jsonl'));
  const oracle = new Oracle(journal);
  const site = new Site(directory, entry ?? join(import.meta.dirname, 'server.ts'), journal);
  const arena: Arena = { site, journal, oracle };
  const kills = Object.fromEntries(killClasses.map((killClass) => [killClass, 0]));
  const tally: Tally = { operations: 0, requests: 0, cut: 0, unanswered: 0, replays: 0, misses: 0, kills };
  let round = 0;
  const count = (): void => {
    const { histories, requests } = journal;
    Object.assign(tally, { operations: histories.length, requests, replays: oracle.replays });
  };
  try {
    await open(arena);
    while (round < rounds) {
      round += 1;
      await untilItStrikes(arena, { seed, round, rounds, tally, onRound });
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

/** How often in a run a kill may come too late, or too early, before that is a failure of its own. */
export function missesMax(rounds: number): number {
  return Math.max(5, Math.ceil(rounds / 10));
}

interface Progress {
  readonly onRound: TortureOptions['onRound'];
  readonly seed: number;
  readonly round: number;
  readonly rounds: number;
  readonly tally: Tally;
}

async function untilItStrikes(arena: Arena, { seed, round, rounds, tally, onRound }: Progress): Promise<void> {
  for (let turn = 1; ; turn++) {
    const plan = planRound(seed, round, turn);
    arena.journal.note({ event: 'round', round, turn, killClass: plan.killClass, strike: plan.strike });
    const result = await runRound(arena, plan);
    await replaySome(arena, new Seeded(seed + round));
    onRound?.(plan, result);
    tally.kills[plan.killClass] = (tally.kills[plan.killClass] ?? 0) + result.kills;
    tally.cut += result.cut;
    tally.unanswered += result.unanswered;
    if (result.missed === undefined) return;
    tally.misses += 1;
    const words = `${tally.misses} in ${round} rounds, the last: ${result.missed}`;
    demand(tally.misses <= missesMax(rounds), 'kills strike', words);
  }
}

/** Of earlier rounds, as many as cost little. */
async function replaySome({ journal, oracle, site }: Arena, seeded: Seeded): Promise<void> {
  const { histories } = journal;
  const some = Array.from({ length: 16 }, () => seeded.pick(histories).operation);
  await replay(some, site.connections, oracle);
}

async function open({ site, journal, oracle }: Arena): Promise<void> {
  try {
    await site.start();
  } catch (cause) {
    // Nothing has been promised yet.
    throw new Error(`the service does not start; its log is in ${site.directory}`, { cause });
  }
  await new Client(0, openingOperations(), journal, oracle).work(site.connections);
  oracle.compareState(await readEntries(site.connections));
}

/** Everything that was ever answered is answered again, and that changes nothing. */
async function close({ site, journal, oracle }: Arena): Promise<void> {
  const operations = journal.histories.map(({ operation }) => operation);
  await replay(operations, site.connections, oracle);
  oracle.compareState(await readEntries(site.connections));
}

/** The rounds in which a run has killed in each way at least once. */
export const roundsMin = killClasses.length;
