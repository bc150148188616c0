import { appendFile, mkdtemp, readdir, realpath, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore } from 'semel/embedded';
import { operate, twoWriters } from './workload.ts';

/** A directory to attack a process in. */
export interface Scenario {
  /** The directory of the run. */
  readonly base: string;
  /** The store's, in it. */
  readonly directory: string;
  /** The paths whose calls count: all else that a process opens, reads and writes is not the store's. */
  readonly paths: readonly string[];
  /** How many operations of each writer are in the store already. */
  readonly operations: number;
}

interface Prepared {
  readonly operations: number;
  /** Names of files that only this scenario has. */
  readonly files: readonly string[];
}

const preparations = Object.freeze({
  /** Nothing is there, not even the directory. */
  fresh: async (): Promise<Prepared> => ({ operations: 0, files: [] }),
  /** What a crash leaves at its worst: a torn end and an unfinished segment. */
  torn: prepareTorn,
});
export type ScenarioName = keyof typeof preparations;
export const scenarioNames: readonly ScenarioName[] = ['fresh', 'torn'];

export async function withScenario<T>(name: ScenarioName, act: (scenario: Scenario) => Promise<T>): Promise<T> {
  // By its real path, since that is what strace compares.
  const base = await realpath(await mkdtemp(join(tmpdir(), 'semel-faults-')));
  try {
    const directory = join(base, 'store');
    const { operations, files } = await preparations[name](directory);
    const paths = [base, directory, ...[...usualFiles, ...files].map((file) => join(directory, file))];
    return await act({ base, directory, paths, operations });
  } finally {
    await rm(base, { recursive: true });
  }
}

/** More of each than a run makes. */
const filesMax = 24;
const numbered = Array.from({ length: filesMax }, (_, index) => nameOf('log', index + 1)).flatMap((log) => [
  log,
  log.replace('log', 'checkpoint'),
]);
const usualFiles: readonly string[] = ['lock', ...numbered, ...numbered.map((name) => `${name}.tmp`)];

function nameOf(kind: string, number: number): string {
  return `${kind}-${String(number).padStart(12, '0')}`;
}

async function prepareTorn(directory: string): Promise<Prepared> {
  const store = await openStore({ directory });
  for (const writer of twoWriters) await store.transact((tx) => operate(tx, writer, 1));
  await store.close();
  const logs = (await readdir(directory)).filter((name) => name.startsWith('log-')).toSorted();
  const newest = logs.at(-1) ?? '';
  const { size } = await stat(join(directory, newest));
  await appendFile(join(directory, newest), Buffer.alloc(333, 'torn'));
  await writeFile(join(directory, `${nameOf('log', Number(newest.slice('log-'.length)) + 1)}.tmp`), 'unfinished');
  const aside = `torn-${newest}-${size}`;
  return { operations: 1, files: [aside, `${aside}-2`, `${aside}-3`] };
}
