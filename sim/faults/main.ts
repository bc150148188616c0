import { parseArgs } from 'node:util';
import { type FaultClass, faultClasses } from './fault.ts';
import { missingTools } from './missing-tools.ts';
import { type ScenarioName, scenarioNames } from './scenario.ts';
import { sweep, type SweepResult } from './sweep.ts';

const help = `npm run faults [-- --only WORDS] [--jobs N] [--child FILE]

Runs the shipped engine on a real directory again and again, in a process of its own, and lets the n-th call of one kind fail, or kills
the process there: for every n that there is, of every kind of call (strace). Then it opens the directory and checks that what was
acknowledged is there, and nothing by half.

  --only WORDS  only the classes whose name has these words, e.g. 'fdatasync' or 'kill'
  --jobs N      runs at once (default 1)
  --child FILE  another program than sim/faults/child.ts, to see that the sweep can fail

Exit codes: 0 clean, 1 a violation, 2 it could not run. Progress on stderr, the summary on stdout.
`;

process.exitCode = await main(process.argv.slice(2));

interface Task {
  readonly scenario: ScenarioName;
  readonly faultClass: FaultClass;
}

async function main(argv: readonly string[]): Promise<0 | 1 | 2> {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        only: { type: 'string', default: '' },
        jobs: { type: 'string', default: '1' },
        child: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
    if (values.help) {
      process.stdout.write(help);
      return 0;
    }
    const missing = await missingTools();
    if (missing.length > 0) throw new Error(`${missing.join(' and ')} cannot be run here`);
    const tasks = scenarioNames.flatMap((scenario) =>
      faultClasses.filter(({ name }) => name.includes(values.only)).map((faultClass) => ({ scenario, faultClass })),
    );
    if (tasks.length === 0) throw new Error(`no class has the words ${JSON.stringify(values.only)}`);
    const jobs = Number(values.jobs);
    if (!Number.isSafeInteger(jobs) || jobs < 1)
      throw new Error(`--jobs is ${values.jobs}; expected a whole number from 1`);
    return await runAll(tasks, jobs, values.child);
  } catch (error) {
    process.stderr.write(`faults: could not run: ${error instanceof Error ? error.message : String(error)}\n`);
    return 2;
  }
}

async function runAll(tasks: readonly Task[], jobs: number, childPath: string | undefined): Promise<0 | 1> {
  const startedMs = performance.now();
  const results = new Map<Task, SweepResult>();
  const waiting = [...tasks];
  let runs = 0;
  const work = async (): Promise<void> => {
    for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) {
      const { scenario, faultClass } = task;
      const result = await sweep(faultClass, {
        scenario,
        ...(childPath === undefined ? {} : { childPath }),
        onRun: () => (runs += 1),
      });
      results.set(task, result);
      const found = result.violations.length === 0 ? '' : `, ${result.violations.length} VIOLATIONS`;
      const seconds = Math.round((performance.now() - startedMs) / 1_000);
      console.error(
        `${results.size}/${tasks.length} ${scenario}: ${faultClass.name} × ${result.struck}${found} (${seconds} s)`,
      );
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  return conclude(tasks, results, runs);
}

function conclude(tasks: readonly Task[], results: ReadonlyMap<Task, SweepResult>, runs: number): 0 | 1 {
  let struck = 0;
  let violations = 0;
  for (const task of tasks) {
    const result = results.get(task);
    if (result === undefined) continue;
    struck += result.struck;
    violations += result.violations.length;
    console.log(`${task.scenario.padEnd(8)}${task.faultClass.name.padEnd(24)}${String(result.struck).padStart(6)}`);
    for (const { n, run } of result.violations) {
      console.log(`  n = ${n}: ${run.violations.join('; ')}`);
      for (const report of run.reports) console.log(`    ${JSON.stringify(report)}`);
      if (run.said !== '') console.log(run.said.replaceAll(/^/gm, '    '));
    }
  }
  console.log(`\n${runs} runs, ${struck} faults, ${violations} violations`);
  // Not every scenario has every call, but a class that strikes in none attacks nothing.
  const silent = faultClasses.filter(
    (one) =>
      tasks.some(({ faultClass }) => faultClass === one) &&
      tasks.every((task) => task.faultClass !== one || results.get(task)?.struck === 0),
  );
  for (const { name } of silent) console.log(`${name} struck nowhere`);
  return violations === 0 && silent.length === 0 ? 0 : 1;
}
