import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import type { Claim } from './claim.ts';
import type { Report, Turn } from './contender.ts';

/** What was measured of one claim. */
export interface Figures {
  readonly claim: Claim;
  readonly rows: readonly Row[];
}

/** One contender at one number in flight: what it did a second, in each round. */
export interface Row {
  readonly contender: string;
  readonly inFlight: number;
  readonly perSecond: readonly number[];
}

export interface Measuring {
  readonly rounds: number;
  readonly turnMs: number;
  /** The module that exports the claims, as `import` takes it: each contender finds itself there. */
  readonly claimsModule: string;
  readonly places: Places;
}

/** Where contenders work. */
export interface Places {
  /** An empty one for each. */
  prepare(contender: string): Promise<string>;
  /** Removes them. */
  clear(): Promise<void>;
}

/**
 * Opens all contenders, then lets them take turns, A B C A B C …, so that whatever else the machine does meanwhile falls on
 * each alike. A longer turn of each that nobody counts comes first.
 */
export async function measure(claim: Claim, measuring: Measuring): Promise<Figures> {
  const { rounds, turnMs, places } = measuring;
  const running: Running[] = [];
  try {
    for (const name of Object.keys(claim.contenders)) running.push(await start(claim, name, measuring));
    const rows: Row[] = [];
    for (const inFlight of claim.inFlight) {
      const perSecond = new Map(running.map(({ name }) => [name, [] as number[]]));
      for (const { child } of running) await turn(child, { inFlight, durationMs: claim.warmUpMs ?? warmUpMs });
      for (let round = 0; round < rounds; round++) {
        for (const { name, child } of running) {
          perSecond.get(name)?.push(await turn(child, { inFlight, durationMs: turnMs }));
        }
      }
      for (const [contender, figures] of perSecond) rows.push({ contender, inFlight, perSecond: figures });
    }
    return { claim, rows };
  } finally {
    await Promise.all(running.map(stop));
    await places.clear();
  }
}

/** On a busy machine the compiler needs that long: a contender in JavaScript was still getting faster after a second. */
const warmUpMs = 2_000;

interface Running {
  readonly name: string;
  readonly child: ChildProcess;
}

async function start(claim: Claim, name: string, { claimsModule, places }: Measuring): Promise<Running> {
  const place = await places.prepare(name);
  const child = fork(join(import.meta.dirname, 'contender.ts'), [claimsModule, claim.name, name, place]);
  await nextReport(child);
  return { name, child };
}

async function turn(child: ChildProcess, order: Turn): Promise<number> {
  child.send(order);
  const report = await nextReport(child);
  if (report.kind !== 'measured') throw new Error('a contender measured nothing in its turn');
  const { operations, elapsedMs } = report.measured;
  return (operations / elapsedMs) * 1_000;
}

function nextReport(child: ChildProcess): Promise<Report> {
  return new Promise((resolve, reject) => {
    const onExit = (): void =>
      reject(new Error(`contender ${child.spawnargs.slice(-3).join(' ')} ended before its time`));
    child.once('exit', onExit);
    child.once('message', (report: Report) => {
      child.off('exit', onExit);
      resolve(report);
    });
  });
}

function stop({ child }: Running): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null) return resolve();
    child.once('exit', () => resolve());
    child.disconnect();
  });
}
