import { parseArgs } from 'node:util';
import { killClasses } from './kill-point.ts';
import { killClasses as postgresKillClasses } from './postgres/kill-class.ts';
import { roundsMin as postgresRoundsMin, torturePostgres } from './postgres/torture.ts';
import { roundsMin, torture, type Tally, type TortureReport } from './torture.ts';
import { wordsOfPostgresRound, wordsOfRound } from './words-of-round.ts';

const help = `npm run torture -- [--postgres] --rounds N --seed S

Kills the real service, in every way that sim/torture/kill-point.ts names, while clients send it operations many times over;
starts it again; and checks that each operation took effect once. With --postgres, two services over one PostgreSQL, which it
starts, with fsync; and in every way that sim/torture/postgres/kill-class.ts names a service, a backend or the whole server is killed.

  --rounds N   how often (default 200, at least ${roundsMin}, with --postgres ${postgresRoundsMin}: each way once)
  --seed S     which plan: what is sent, and where each kill strikes (default 1)

Exit codes: 0 clean, 1 a promise was broken or a kind of kill never struck, 2 it could not run.
`;

interface Asked {
  readonly isOnPostgres: boolean;
  readonly rounds: number;
  readonly seed: number;
}

process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<0 | 1 | 2> {
  try {
    const asked = parse(argv);
    if (asked === 'help') {
      process.stdout.write(help);
      return 0;
    }
    const { isOnPostgres, ...options } = asked;
    console.log(`torture${isOnPostgres ? ' on PostgreSQL' : ''}: ${asked.rounds} rounds, seed ${asked.seed}`);
    const startedMs = performance.now();
    const report = isOnPostgres
      ? await torturePostgres({
          ...options,
          onRound: (plan, result) => console.log(wordsOfPostgresRound(plan, result)),
        })
      : await torture({ ...options, onRound: (plan, result) => console.log(wordsOfRound(plan, result)) });
    const classes = isOnPostgres ? postgresKillClasses : killClasses;
    printTally(asked.rounds, report.tally, classes, performance.now() - startedMs);
    return conclude(asked.seed, report, classes);
  } catch (error) {
    process.stderr.write(
      `torture: could not run: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    return 2;
  }
}

function parse(argv: readonly string[]): 'help' | Asked {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      postgres: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '200' },
      seed: { type: 'string', default: '1' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const rounds = whole('--rounds', values.rounds, values.postgres ? postgresRoundsMin : roundsMin);
  return { isOnPostgres: values.postgres, rounds, seed: whole('--seed', values.seed, 0) };
}

function whole(flag: string, given: string, min: number): number {
  const number = Number(given);
  if (!/^[0-9]+$/.test(given) || !Number.isSafeInteger(number) || number < min) {
    throw new Error(`${flag} is ${JSON.stringify(given)}; expected a whole number from ${min}`);
  }
  return number;
}

function printTally(rounds: number, tally: Tally, classes: readonly string[], elapsedMs: number): void {
  const { operations, requests, cut, unanswered, replays, misses, kills } = tally;
  console.log('');
  const rows: readonly (readonly [string, number])[] = [
    ['rounds', rounds],
    ['operations', operations],
    ['requests', requests],
    ['of them duplicates', requests - operations],
    ['requests cut by a kill', cut],
    ['operations with none answered', unanswered],
    ['replays compared', replays],
    ['misses', misses],
    ['seconds', Math.round(elapsedMs / 1_000)],
    ...classes.map((killClass) => [`kills ${killClass}`, kills[killClass] ?? 0] as const),
  ];
  for (const [name, count] of rows) console.log(`${name.padEnd(32)}${String(count).padStart(8)}`);
  console.log('');
}

function conclude(seed: number, report: TortureReport, classes: readonly string[]): 0 | 1 {
  if (report.outcome === 'clean') {
    const empty = classes.filter((killClass) => report.tally.kills[killClass] === 0);
    if (empty.length > 0) {
      console.log(`torture: no kill ${empty.join(', ')}`);
      return 1;
    }
    console.log('torture: clean');
    return 0;
  }
  const { violation, round, story, directory } = report;
  console.log(`torture: violated in round ${round} of seed ${seed}: ${violation.message}`);
  if (violation.operation !== undefined) console.log(`operation ${violation.operation}; all that its clients know:`);
  for (const line of story) console.log(`  ${line}`);
  console.log(`data, journal and the log of the service are kept in ${directory}`);
  return 1;
}
