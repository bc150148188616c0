import { parseArgs } from 'node:util';
import { type Fault, faults, type Plan } from './plan.ts';
import { type WorkloadName, workloadNames } from './workloads/all-workloads.ts';

export const help = `npm run sim -- --seed N --steps M [--workload W]
npm run sim -- --seeds A..B --steps M [--workload W]

Drives the store through simulated crashes, on a simulated disk, in a simulated world. What it prints is a function of what it is
given; what it says of time goes to stderr.

  --seed N         one run (default 1)
  --seeds A..B     many, on all cores
  --steps M        events before the faults end (default 10000)
  --workload W     only this, or these, with commas: ${workloadNames.join(', ')}
  --clients N      of each workload, instead of as many as the seed says
  --operations N   that each client begins at most
  --without F      faults that do not happen, with commas: ${faults.join(', ')}
  --story          prints what happens
  --until-failure  of many seeds, none after the first that fails

Exit codes: 0 all promises were kept, 1 one was broken or a mark was never reached, 2 it was asked for something impossible.
`;

export interface Asked {
  readonly seeds: { readonly from: number; readonly to: number };
  readonly steps: number;
  readonly changes: Changes;
  readonly story: boolean;
  readonly untilFailure: boolean;
}

/** What is said of a plan beside its seed. */
export type Changes = Partial<Pick<Plan, 'workloads' | 'clients' | 'operations' | 'without'>>;

/** @throws an Error whose message says what was expected */
export function parseArguments(argv: readonly string[]): Asked | 'help' {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seed: { type: 'string' },
      seeds: { type: 'string' },
      steps: { type: 'string', default: '10000' },
      workload: { type: 'string' },
      clients: { type: 'string' },
      operations: { type: 'string' },
      without: { type: 'string' },
      story: { type: 'boolean', default: false },
      'until-failure': { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  if (values.seed !== undefined && values.seeds !== undefined) throw new Error('give --seed or --seeds, not both');
  const { workload, clients, operations, without } = values;
  const changes: Changes = {
    ...(workload === undefined ? {} : { workloads: namesOf<WorkloadName>('--workload', workload, workloadNames) }),
    ...(clients === undefined ? {} : { clients: whole('--clients', clients, 1) }),
    ...(operations === undefined ? {} : { operations: whole('--operations', operations, 0) }),
    ...(without === undefined ? {} : { without: namesOf<Fault>('--without', without, faults) }),
  };
  return {
    seeds: values.seeds === undefined ? oneSeed(values.seed ?? '1') : seedRange(values.seeds),
    steps: whole('--steps', values.steps, 0),
    changes,
    story: values.story,
    untilFailure: values['until-failure'],
  };
}

/** The command that runs a plan again. */
export function commandOf({ seed, steps }: Plan, { workloads, clients, operations, without }: Changes): string {
  const words = ['npm run sim --', `--seed ${seed}`, `--steps ${steps}`];
  if (workloads !== undefined) words.push(`--workload ${workloads.join(',')}`);
  if (clients !== undefined) words.push(`--clients ${clients}`);
  if (operations !== undefined && operations !== Infinity) words.push(`--operations ${operations}`);
  if (without !== undefined && without.length > 0) words.push(`--without ${without.join(',')}`);
  return words.join(' ');
}

function oneSeed(given: string): Asked['seeds'] {
  const seed = whole('--seed', given, 0);
  return { from: seed, to: seed };
}

function seedRange(given: string): Asked['seeds'] {
  const [, from = '', to = ''] = /^(\d+)\.\.(\d+)$/.exec(given) ?? [];
  if (from === '') throw new Error(`--seeds is ${JSON.stringify(given)}; expected two whole numbers, as in 1..2000`);
  return { from: whole('--seeds', from, 0), to: whole('--seeds', to, Number(from)) };
}

function whole(flag: string, given: string, min: number): number {
  const number = Number(given);
  if (!/^[0-9]+$/.test(given) || !Number.isSafeInteger(number) || number < min) {
    throw new Error(`${flag} is ${JSON.stringify(given)}; expected a whole number from ${min}`);
  }
  return number;
}

function namesOf<Name extends string>(flag: string, given: string, known: readonly Name[]): readonly Name[] {
  return given.split(',').map((name) => {
    const found = known.find((other) => other === name);
    if (found === undefined) throw new Error(`${flag} has ${JSON.stringify(name)}; expected ${known.join(', ')}`);
    return found;
  });
}
