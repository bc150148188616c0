import { DamagedError } from '../src/kv/errors.ts';
import type { Entry } from '../src/kv/store.ts';
import { realWorld } from '../src/kv/world.ts';
import { type DiskOperation, SimulatedDisk } from '../src/testing/simulated-disk.ts';
import { SimulatedWorld } from '../src/testing/simulated-world.ts';
import { CheckFailed } from './check-failed.ts';
import { isArmedFailure, Life, type Running } from './life.ts';
import { Marks } from './marks.ts';
import { calmLife, type LifePlan, type Plan, planLife, planRot } from './plan.ts';
import { Seeded } from './seeded.ts';
import { type Story, untold, WrittenStory } from './story.ts';
import { RunWitness } from './witness.ts';
import { createWorkload } from './workloads/all-workloads.ts';

export interface Result {
  readonly plan: Plan;
  readonly steps: number;
  readonly lives: number;
  /** Depends on everything that happened. */
  readonly digest: string;
  readonly marks: Readonly<Record<string, number>>;
  readonly failure: { readonly check: string; readonly message: string } | undefined;
  readonly story: readonly string[];
}

/** Runs a plan to its end, or to the first promise that was broken. */
export async function simulate(plan: Plan, { told = false } = {}): Promise<Result> {
  const simulation = new Simulation(plan, told);
  let failure: Result['failure'];
  const unheard = (reason: unknown): void => {
    failure ??= {
      check: 'no promise is rejected unheard',
      message: `no promise is rejected unheard: ${String(reason)}`,
    };
  };
  process.on('unhandledRejection', unheard);
  try {
    await simulation.run();
  } catch (error) {
    failure ??= describeFailure(error);
  }
  // Node.js tells of what was rejected unheard when it has nothing else to do.
  await new Promise<void>((resolve) => realWorld.defer(resolve));
  process.off('unhandledRejection', unheard);
  return simulation.result(failure);
}

/**
 * A run: lives of processes on one disk, each ended in its own way, until the steps are used up; then a calm one, in which
 * whatever waits must come to its end; and at last, by chance, the medium rots, and it must be noticed.
 */
class Simulation {
  readonly #plan: Plan;
  readonly #world: SimulatedWorld;
  readonly #marks = new Marks();
  readonly #written: WrittenStory | undefined;
  readonly #story: Story;
  readonly #witness = new RunWitness();
  readonly #workloads: readonly Running[];
  #disk: SimulatedDisk;
  #lives = 0;
  #slowness = 1;
  #expected: readonly Entry[] | undefined;

  constructor(plan: Plan, told: boolean) {
    this.#plan = plan;
    const { seed, clients } = plan;
    this.#world = new SimulatedWorld({ seed: Seeded.of(seed, 'world').integer(0, 2 ** 32 - 1) });
    this.#written = told ? new WrittenStory(() => `step ${this.#world.steps}`) : undefined;
    this.#story = this.#written ?? untold;
    const times = Seeded.of(seed, 'disk times');
    this.#disk = new SimulatedDisk({
      seed: Seeded.of(seed, 'disk').integer(0, 2 ** 32 - 1),
      pause: (operation) => this.#world.pause(times.fraction() * usualMs(operation) * this.#slowness),
    });
    this.#workloads = plan.workloads.map((name) => ({
      name,
      workload: createWorkload(name, { clients, random: Seeded.of(seed, name), marks: this.#marks }),
      ready: false,
      begun: Array.from({ length: clients }, () => 0),
    }));
  }

  async run(): Promise<void> {
    while (this.#world.steps < this.#plan.steps) await this.#live(planLife(this.#plan, this.#lives + 1));
    await this.#live(calmLife);
    await this.#rot();
  }

  result(failure: Result['failure']): Result {
    return {
      plan: this.#plan,
      steps: this.#world.steps,
      lives: this.#lives,
      digest: this.#world.digest.toString(16).padStart(8, '0'),
      marks: this.#marks.toJSON(),
      failure,
      story: this.#written?.lines ?? [],
    };
  }

  async #live(plan: LifePlan): Promise<void> {
    const life = this.#begin(plan, undefined);
    const done = settledOf(life.run());
    const endSteps = Math.min(this.#world.steps + plan.steps, plan === calmLife ? Infinity : this.#plan.steps);
    const clock = Seeded.of(this.#plan.seed, this.#lives, 'clock');
    const patience = Seeded.of(this.#plan.seed, this.#lives, 'operator');
    let poisonedFor = 0;
    let failedFor = 0;
    let cut = false;
    while (done.state === 'running' && this.#world.steps < endSteps) {
      if (!(await this.#world.step()) && isRunning(done)) throw waitsForEver();
      if (life.failure !== undefined) throw life.failure;
      cut ||= plan.cutsAmidWrites && life.takeReorderable() && patience.chance(0.4);
      cut ||= this.#disk.syncs >= (plan.failedSync ?? Infinity) && ++failedFor === plan.cutAfterFailure;
      if (this.#disk.powerIsCut || cut) break;
      if (life.phase === 'working' && life.store.status().poisoned && ++poisonedFor > 40) break;
      if (plan.clockJumps && clock.chance(0.02)) this.#jump(clock);
    }
    if (this.#disk.powerIsCut || cut) {
      this.#marks.reach(life.phase === 'opening' ? 'power cut during the opening' : 'power cut under load');
    } else if (done.state === 'failed') {
      if (!isArmedFailure(done.reason, plan)) throw done.reason;
      this.#story.tell(() => `opening fails: ${String(done.reason)}`);
      this.#marks.reach('opening failed and came right');
    } else if (plan.end === 'close' && life.phase === 'working') {
      await this.#closeDown(life, done, patience.chance(0.4));
    }
    this.#end(cut ? { ...plan, end: 'power-cut' } : plan, life, done);
  }

  /** Either the clients end first, or the store is closed under them, which waits for them. */
  async #closeDown(life: Life, done: Settling, atOnce: boolean): Promise<void> {
    life.stop();
    this.#slowness = 1;
    const closing = atOnce ? settledOf(life.close()) : undefined;
    if (closing !== undefined) this.#marks.reach('closed with calls under way');
    await this.#finish(life, done);
    await this.#finish(life, closing ?? settledOf(life.close()));
  }

  /** Liveness: it ends by itself, soon, as nothing waits for anything but the disk and each other. */
  async #finish(life: Life, work: Settling): Promise<void> {
    const [startSteps, startMs] = [this.#world.steps, this.#world.monotonicMs()];
    while (work.state === 'running') {
      const isStuck =
        this.#world.steps - startSteps > finishStepsMax || this.#world.monotonicMs() - startMs > finishMsMax;
      if (isStuck || (!(await this.#world.step()) && isRunning(work))) throw waitsForEver();
      if (life.failure !== undefined) throw life.failure;
      if (this.#disk.powerIsCut) return;
    }
    if (work.state === 'failed' && !this.#disk.powerIsCut) throw work.reason;
  }

  #begin(plan: LifePlan, rotten: { readonly mayLose: number } | undefined): Life {
    this.#lives += 1;
    this.#witness.restarted();
    this.#slowness = plan.slowness;
    this.#arm(plan);
    this.#story.tell(() => `process ${this.#lives} starts`);
    return new Life({
      plan: this.#plan,
      number: this.#lives,
      life: plan,
      disk: this.#disk,
      world: this.#world,
      workloads: this.#workloads,
      witness: this.#witness,
      marks: this.#marks,
      story: this.#story,
      expected: this.#expected,
      rotten,
    });
  }

  #arm({ cut, failedSync, failedWrite, failedRead, spaceBytes }: LifePlan): void {
    if (cut !== undefined) this.#disk.cutPower(cut);
    if (failedSync !== undefined) this.#disk.failSync(failedSync);
    if (failedWrite !== undefined) this.#disk.failWrite(failedWrite);
    if (failedRead !== undefined) this.#disk.failRead(failedRead);
    if (spaceBytes !== undefined) this.#disk.limitSpace(spaceBytes);
  }

  #end(plan: LifePlan, life: Life, done: Settling): void {
    const cut = this.#disk.powerIsCut || plan.end === 'power-cut';
    this.#story.tell(() =>
      cut ? 'the power is cut' : `the process ${life.phase === 'closed' ? 'ends' : 'is killed'}`,
    );
    this.#world.forget();
    this.#disk = cut ? this.#disk.crash() : this.#disk.kill();
    this.#expected = done.state === 'done' && plan.looksOnly && !this.#disk.powerIsCut ? life.found : undefined;
  }

  #jump(clock: Seeded): void {
    // Absolute bounds, so that no record outlives its tombstone: after that, a command rightly executes again.
    const offsetMs = clock.pick([0, 1_000, hourMs, -hourMs, 96 * hourMs, 400 * hourMs]) * clock.fraction();
    const byMs = offsetMs - (this.#world.now() - this.#world.monotonicMs() - Date.UTC(2026, 0, 1));
    if (byMs < 0) this.#marks.reach('wall clock set back');
    this.#story.tell(() => `the wall clock jumps by ${Math.round(byMs)} ms`);
    this.#world.jump(byMs);
  }

  /** Rot may break anything, and the store may serve nothing of it: it refuses, or what it serves was so at some moment. */
  async #rot(): Promise<void> {
    const plan = planRot(this.#plan);
    if (plan === undefined) return;
    if (plan.misdirectedWrite !== undefined) {
      this.#disk.misdirectWrite(plan.misdirectedWrite);
      const last = this.#begin({ ...calmLife, steps: 400, end: plan.end }, undefined);
      const done = settledOf(last.run());
      for (let step = 0; step < 400 && done.state === 'running' && (await this.#world.step()); step += 1) {
        if (last.failure !== undefined) throw last.failure;
      }
      this.#end({ ...calmLife, end: plan.end }, last, done);
    }
    for (let count = 0; count < plan.flippedBits; count += 1) {
      const flipped = this.#disk.flipBit();
      this.#story.tell(() => `a bit of ${flipped?.name} turns over at ${flipped?.offset}`);
    }
    this.#expected = undefined;
    // A bit can hide in the last group alone, which has one operation of a client at most; a sector can hold several groups.
    const mayLose = plan.misdirectedWrite === undefined ? 1 : Infinity;
    const life = this.#begin({ ...calmLife, looksOnly: true }, { mayLose });
    const done = settledOf(life.run());
    while (done.state === 'running' && (await this.#world.step()));
    if (done.state === 'failed' && !(done.reason instanceof DamagedError)) throw done.reason;
    this.#marks.reach(done.state === 'failed' ? 'rot refused' : 'rot hidden in what was not durable or not used');
  }
}

const hourMs = 3_600_000;

/** A sync takes longer than all else. */
function usualMs(operation: DiskOperation): number {
  return operation === 'sync' ? 2 : 0.2;
}

/** In the calm: much more than what was begun needs. A lock is waited for this long only by who waits for ever. */
const finishMsMax = 9_000;
const finishStepsMax = 50_000;

interface Settling {
  state: 'running' | 'done' | 'failed';
  reason: unknown;
}

function settledOf(work: Promise<void>): Settling {
  const settling: Settling = { state: 'running', reason: undefined };
  work.then(
    () => void (settling.state = 'done'),
    (reason: unknown) => void Object.assign(settling, { state: 'failed', reason }),
  );
  return settling;
}

/** Asked again after a wait, which the compiler cannot know to change it. */
function isRunning({ state }: Settling): boolean {
  return state === 'running';
}

function waitsForEver(): CheckFailed {
  return new CheckFailed('nobody waits for ever', 'somebody waits, and nothing will happen that would end it');
}

function describeFailure(error: unknown): NonNullable<Result['failure']> {
  if (error instanceof CheckFailed) return { check: error.check, message: error.message };
  const words = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const where =
    error instanceof Error
      ? (error.stack ?? '')
          .split('\n')
          .slice(1, 4)
          .map((line) => line.trim())
          .join(' ')
      : '';
  return { check: 'nothing unexpected is thrown', message: `${words} ${where}` };
}
