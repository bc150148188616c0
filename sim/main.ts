import { type Asked, commandOf, help, parseArguments } from './arguments.ts';
import { Marks } from './marks.ts';
import { planOf } from './plan.ts';
import { simulateSeeds } from './seeds.ts';
import { shrink } from './shrink.ts';
import { type Result, simulate } from './simulation.ts';

/** So many runs take every rare path, or the simulation has become too kind. */
const seedsForMarksMin = 500;

process.exitCode = await main(process.argv.slice(2));

async function main(argv: readonly string[]): Promise<0 | 1 | 2> {
  let asked: Asked | 'help';
  try {
    asked = parseArguments(argv);
  } catch (error) {
    process.stderr.write(`sim: ${error instanceof Error ? error.message : String(error)}\n`);
    return 2;
  }
  if (asked === 'help') {
    process.stdout.write(help);
    return 0;
  }
  return asked.story ? tellStory(asked) : run(asked);
}

async function tellStory({ seeds, steps, changes }: Asked): Promise<0 | 1> {
  const result = await simulate(planOf(seeds.from, steps, changes), { told: true });
  printStory(result);
  return result.failure === undefined ? 0 : 1;
}

async function run({ seeds, steps, changes, untilFailure }: Asked): Promise<0 | 1> {
  const startedMs = performance.now();
  const marks = new Marks();
  const failed: Result[] = [];
  let done = 0;
  let events = 0;
  for await (const result of simulateSeeds({ ...seeds, steps, changes })) {
    done += 1;
    events += result.steps;
    marks.addAll(result.marks);
    console.log(describe(result));
    if (result.failure !== undefined) failed.push(result);
    if (done % 50 === 0) progress(done, seeds.to - seeds.from + 1, events, startedMs);
    if (failed.length > 0 && untilFailure) break;
  }
  progress(done, seeds.to - seeds.from + 1, events, startedMs);
  const isLong = done >= seedsForMarksMin && Object.keys(changes).length === 0;
  for (const [name, count] of Object.entries(marks.toJSON())) if (done > 1) console.log(`mark ${name}: ${count}`);
  console.log(`${done} seeds, ${events} events, ${failed.length} failed`);
  const [first] = failed;
  if (first !== undefined && !untilFailure) {
    const { result, changes: smaller } = await shrink(first);
    console.log(`\nseed ${result.plan.seed}, shrunk; again by: ${commandOf(result.plan, smaller)} --story\n`);
    printStory(result);
  }
  const missing = isLong ? marks.missing : [];
  for (const name of missing) console.log(`never reached: ${name}`);
  return failed.length > 0 || missing.length > 0 ? 1 : 0;
}

function describe({ plan, steps, lives, digest, failure }: Result): string {
  const facts = `seed ${plan.seed}: ${plan.workloads.join(' + ')}, ${steps} events, ${lives} processes, digest ${digest}`;
  return failure === undefined ? facts : `${facts}\n  FAILED ${failure.message}`;
}

function printStory({ story, failure }: Result): void {
  const width = String(story.length).length;
  for (const [index, line] of story.entries()) console.log(`${String(index + 1).padStart(width)}. ${line}`);
  console.log(failure === undefined ? 'all promises were kept' : `FAILED ${failure.message}`);
}

function progress(done: number, all: number, events: number, startedMs: number): void {
  const seconds = (performance.now() - startedMs) / 1_000;
  process.stderr.write(`${done} of ${all} seeds, ${Math.round(events / seconds)} events/s, ${seconds.toFixed(1)} s\n`);
}
