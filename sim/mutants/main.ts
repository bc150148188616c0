import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { MutantCopy } from './mutant-copy.ts';
import type { Mutant } from './mutant.ts';
import { mutants } from './mutants.ts';

/** So many runs of so many events a mutant may survive, and no more. */
const seedsMax = 2_000;
const stepsMax = 10_000;
/** Of one mutant: longer than all of its seeds should take. */
const timeoutMs = 1_200_000;

const help = `npm run sim:mutants

Makes the engine wrong, one line at a time, in a copy of the source; and simulates each until a check finds it. A mutant that
survives ${seedsMax} seeds of ${stepsMax} events fails, and so does one whose line is no longer there.

  --only WORDS  those whose names have the words; writes no report
  --seeds N     fewer, for a quick look; writes no report
  --steps N     fewer events a seed; writes no report
`;

interface Verdict {
  readonly mutant: Mutant;
  readonly caught:
    | { readonly by: string; readonly seed: number; readonly events: number; readonly failure: string }
    | undefined;
}

process.exitCode = main();

function main(): 0 | 1 | 2 {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      seeds: { type: 'string' },
      steps: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const seeds = Number(values.seeds ?? seedsMax);
  if (!Number.isSafeInteger(seeds) || seeds < 1 || seeds > seedsMax) {
    process.stderr.write(`sim:mutants: --seeds is ${JSON.stringify(values.seeds)}; expected 1 to ${seedsMax}\n`);
    return 2;
  }
  const steps = Number(values.steps ?? stepsMax);
  if (!Number.isSafeInteger(steps) || steps < 1 || steps > stepsMax) {
    process.stderr.write(`sim:mutants: --steps is ${JSON.stringify(values.steps)}; expected 1 to ${stepsMax}\n`);
    return 2;
  }
  const chosen = mutants.filter(({ name }) => name.includes(values.only ?? ''));
  if (chosen.length === 0) {
    process.stderr.write(`sim:mutants: no mutant's name has ${JSON.stringify(values.only)}\n`);
    return 2;
  }
  const verdicts: Verdict[] = [];
  for (const mutant of chosen) {
    const startedMs = performance.now();
    const verdict = { mutant, caught: hunt(mutant, seeds, steps) };
    verdicts.push(verdict);
    console.log(describe(verdict));
    process.stderr.write(`${((performance.now() - startedMs) / 1_000).toFixed(1)} s\n`);
  }
  if (values.only === undefined && seeds === seedsMax && steps === stepsMax)
    writeFileSync(join(import.meta.dirname, 'report.md'), report(verdicts));
  const survivors = verdicts.filter(({ caught }) => caught === undefined);
  console.log(`${verdicts.length} mutants, ${survivors.length} survived`);
  return survivors.length === 0 ? 0 : 1;
}

function hunt(mutant: Mutant, seeds: number, steps: number): Verdict['caught'] {
  const copy = new MutantCopy(mutant);
  try {
    const range = ['--seeds', `1..${seeds}`, '--steps', String(steps), '--until-failure'];
    return parseFailure(copy.simulate(range, timeoutMs));
  } finally {
    copy.remove();
  }
}

function parseFailure(stdout: string): Verdict['caught'] {
  const found = /^seed (\d+): (.*?), \d+ events.*\n {2}FAILED (.*)$/m.exec(stdout);
  if (found === null) return undefined;
  const [, seed = '', by = '', failure = ''] = found;
  const events = [...stdout.slice(0, found.index + found[0].length).matchAll(/^seed \d+: .*?, (\d+) events/gm)];
  return { by, seed: Number(seed), events: events.reduce((sum, [, count]) => sum + Number(count), 0), failure };
}

function describe({ mutant, caught }: Verdict): string {
  if (caught === undefined) return `${mutant.name}: SURVIVED`;
  return `${mutant.name}: caught by ${caught.by}, seed ${caught.seed}, after ${caught.events} events: ${caught.failure.slice(0, 160)}`;
}

function report(verdicts: readonly Verdict[]): string {
  const caught = verdicts.filter((verdict) => verdict.caught !== undefined).length;
  const rows = verdicts.map(({ mutant, caught }, index) => {
    const outcome =
      caught === undefined
        ? '**survived** | | |'
        : `${caught.by} | ${caught.seed} | ${caught.events} | ${caught.failure.slice(0, 110).replaceAll('|', '\\|')}`;
    return `| ${index + 1} | ${mutant.name} | \`${mutant.file}\` | ${mutant.why} | ${outcome} |`;
  });
  return `# Mutants of the engine

Written by \`npm run sim:mutants\`. Each is one line made wrong (mutants.ts), simulated from seed 1 on, at most ${seedsMax} seeds of
${stepsMax} events. Of ${verdicts.length}, ${caught} were caught. The seed is the first that found it, the events are those of all seeds
up to there.

| | mutant | file | what users would lose | workloads | seed | events | found |
| --: | --- | --- | --- | --- | --: | --: | --- |
${rows.join('\n')}
`;
}
