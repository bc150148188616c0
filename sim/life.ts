import { type EmbeddedStore, openStore, type StoreEvent } from '../src/engines/embedded/embedded.ts';
import { DamagedError, LockTimeoutError, type SemelError } from '../src/kv/errors.ts';
import { limits } from '../src/kv/limits.ts';
import type { Entry, ReadTransaction } from '../src/kv/store.ts';
import type { SimulatedDisk } from '../src/testing/simulated-disk.ts';
import type { SimulatedWorld } from '../src/testing/simulated-world.ts';
import { check, CheckFailed } from './check-failed.ts';
import { Client, type Service } from './client.ts';
import { type MarkName, markNames, type Marks } from './marks.ts';
import type { LifePlan, Plan } from './plan.ts';
import { Seeded } from './seeded.ts';
import type { Story } from './story.ts';
import { WatchedDisk } from './watched-disk.ts';
import type { RunWitness } from './witness.ts';
import type { Circumstances, Workload } from './workload.ts';
import type { WorkloadName } from './workloads/all-workloads.ts';

/** A workload with what the run knows of it. */
export interface Running {
  readonly name: WorkloadName;
  readonly workload: Workload;
  /** Whether its beginning was acknowledged, or found. */
  ready: boolean;
  /** Operations that each of its clients has begun. */
  readonly begun: number[];
}

export interface Surroundings {
  readonly plan: Plan;
  readonly number: number;
  readonly life: LifePlan;
  readonly disk: SimulatedDisk;
  readonly world: SimulatedWorld;
  readonly workloads: readonly Running[];
  readonly witness: RunWitness;
  readonly marks: Marks;
  readonly story: Story;
  /** What the last process found, where it changed nothing. */
  readonly expected: readonly Entry[] | undefined;
  /** Whether the medium has rotted, and how many acknowledged operations of each client may then be gone. */
  readonly rotten: { readonly mayLose: number } | undefined;
}

/**
 * One process: *opening* its store → *checking* what it holds → *working*, with clients → *stopping*, when they begin nothing
 * more → *closed*. From any of these it may be ended by a crash, at which nothing of it runs any more.
 */
export class Life implements Service {
  readonly #around: Surroundings;
  readonly #disk: WatchedDisk;
  #store: EmbeddedStore | undefined;
  #open = true;
  #closing = false;
  #recoveredTornBytes = 0;
  /** All that it holds, if it changed nothing. */
  found: readonly Entry[] | undefined;
  phase: 'opening' | 'working' | 'closed' = 'opening';
  failure: Error | undefined;

  constructor(around: Surroundings) {
    this.#around = around;
    this.#disk = new WatchedDisk(around.disk, around.marks, around.story);
  }

  /** Whether the power may be cut just now with a strange result; asked once. */
  takeReorderable(): boolean {
    const { reorderable } = this.#disk;
    this.#disk.reorderable = false;
    return reorderable;
  }

  get store(): EmbeddedStore {
    if (this.#store === undefined) throw new Error('assertion failed: the store is open');
    return this.#store;
  }

  get world(): SimulatedWorld {
    return this.#around.world;
  }

  get story(): Story {
    return this.#around.story;
  }

  get witness(): RunWitness {
    return this.#around.witness;
  }

  get impatience(): boolean {
    return this.#around.life.impatience;
  }

  get open(): boolean {
    return this.#open;
  }

  /** Resolves when nobody does anything any more. */
  async run(): Promise<void> {
    const { world, story, life } = this.#around;
    const { storage } = this.#around.plan;
    this.#store = await openStore({ disk: this.#disk, world, ...storage, onEvent: (event) => this.#hear(event) });
    this.#disk.opened();
    await this.#checkAll(this.#around.rotten !== undefined && this.#recoveredTornBytes > 0 ? 'rotten' : 'opened');
    await this.#compare();
    if (this.#around.rotten !== undefined) return;
    if (life.looksOnly) return this.#tidyUp();
    this.phase = 'working';
    for (const running of this.#around.workloads) await this.#setUp(running);
    story.tell(() => 'the clients begin');
    await Promise.all(this.#around.workloads.flatMap((running) => this.#clientsOf(running)));
  }

  /** The clients end what they have begun. */
  stop(): void {
    this.#open = false;
  }

  async close(): Promise<void> {
    this.#closing = true;
    await this.store.close();
    this.phase = 'closed';
  }

  judge(fault: SemelError, wasImpatient: boolean): void {
    const { marks } = this.#around;
    const poisoned = this.store.status().poisoned;
    const reasons: Partial<Record<SemelError['code'], boolean>> = {
      conflict: true,
      deadlock: true,
      'lock-timeout': true,
      aborted: wasImpatient,
      'deadline-exceeded': wasImpatient,
      'commit-unknown': wasImpatient || poisoned || this.#closing,
      poisoned,
      'store-closed': this.#closing,
    };
    check(reasons[fault.code] === true, 'no fault without a reason', () => `${fault.code}: ${fault.message}`);
    const waitedForEver = fault instanceof LockTimeoutError && fault.timeoutMs >= limits.lockTimeoutMs;
    check(!waitedForEver, 'nobody waits for ever', () => fault.message);
    const name = `answered: ${fault.code}`;
    if (isMark(name)) marks.reach(name);
  }

  async checkCopy(tx: ReadTransaction): Promise<void> {
    for (const { name, workload } of this.#around.workloads) {
      if ((await tx.get(readyKey(name))) !== true) continue;
      await workload.check(tx, { when: 'copied', mayLose: Infinity, rest: async () => undefined });
    }
  }

  isArmed(error: unknown): boolean {
    return this.#around.disk.powerIsCut || isArmedFailure(error, this.#around.life);
  }

  judgeUnknown(wasImpatient: boolean): void {
    const fine = wasImpatient || this.#closing || this.store.status().poisoned;
    check(fine, 'no fault without a reason', () => 'a commit is unknown, and the disk did not fail');
  }

  #hear(event: StoreEvent): void {
    const { marks, story, life } = this.#around;
    story.tell(() => `store: ${describeEvent(event)}`);
    switch (event.type) {
      case 'recovered':
        this.#recoveredTornBytes = event.tornBytes;
        if (event.keptAside !== undefined) marks.reach('torn tail kept aside');
        if (event.checkpointBytes > 0) marks.reach('opened from a checkpoint');
        break;
      case 'synced':
        if (event.entries > 1) marks.reach('group of several commits');
        break;
      case 'retried':
        marks.reach(event.fault === 'conflict' ? 'conflict retried' : 'deadlock broken');
        break;
      case 'checkpointed':
        marks.reach('checkpoint written');
        break;
      case 'checkpoint-failed':
        marks.reach('checkpoint failed');
        break;
      case 'poisoned': {
        const reason = String(event.cause);
        const disk = this.#around.disk;
        if (disk.powerIsCut) break;
        const armed = life.failedSync !== undefined || life.failedWrite !== undefined || life.spaceBytes !== undefined;
        if (!armed) this.failure ??= new CheckFailed('a store is poisoned by a failing disk only', reason);
        if (reason.includes('ENOSPC')) marks.reach('poisoned by a full disk');
        else marks.reach(reason.includes('syncing') ? 'poisoned by a failed sync' : 'poisoned by a failed write');
        break;
      }
    }
  }

  async #checkAll(when: Circumstances['when']): Promise<void> {
    const mayLose = this.#around.rotten?.mayLose ?? 0;
    await this.store.read(async (tx) => {
      for (const running of this.#around.workloads) {
        const begun = (await tx.get(readyKey(running.name))) === true;
        if (when !== 'rotten')
          check(begun || !running.ready, 'what was acknowledged is there', () => `${running.name} is gone`);
        if (!begun) continue;
        running.ready = true;
        await running.workload.check(tx, {
          when,
          mayLose: when === 'rotten' ? mayLose : 0,
          rest: async () => undefined,
        });
      }
    });
  }

  /** Whoever opens twice finds the same: all that is served at an opening is durable. */
  async #compare(): Promise<void> {
    const { expected, life, marks } = this.#around;
    if (expected === undefined && !life.looksOnly) return;
    this.found = await this.store.read((tx) => Array.fromAsync(tx.scan({})));
    if (expected === undefined) return;
    const [before, now] = [expected, this.found].map((entries) => JSON.stringify(entries, inText));
    check(before === now, 'opening twice finds the same', () => `first ${before}, then ${now}`);
    marks.reach('opened twice with the same content');
  }

  /** Now and then a checkpoint is all that a process does: then nothing but the checkpoint tells the next one of its past. */
  async #tidyUp(): Promise<void> {
    const { plan, number } = this.#around;
    if (!Seeded.of(plan.seed, number, 'tidy').chance(0.5)) return;
    try {
      await this.store.checkpoint();
    } catch (error) {
      if (!this.store.status().poisoned && !this.isArmed(error)) throw error;
    }
  }

  async #setUp(running: Running): Promise<void> {
    if (running.ready) return;
    const client = new Client(0, Seeded.of(0), this);
    const answer = await client.transactPatiently(async (tx) => {
      tx.set(readyKey(running.name), true);
      await running.workload.setup(tx);
    });
    running.ready = answer.outcome === 'done';
  }

  #clientsOf(running: Running): readonly Promise<void>[] {
    const { plan, number } = this.#around;
    if (!running.ready) return [];
    return running.begun.map(async (_, index) => {
      const client = new Client(index, Seeded.of(plan.seed, number, running.name, index), this);
      try {
        await client.rest();
        await this.#work(running, client);
      } catch (error) {
        this.failure ??= error instanceof Error ? error : new Error(String(error));
      }
    });
  }

  async #work({ workload, begun }: Running, client: Client): Promise<void> {
    const { plan } = this.#around;
    while (this.#open && (begun[client.number] ?? 0) < plan.operations) {
      begun[client.number] = (begun[client.number] ?? 0) + 1;
      if (client.random.chance(0.03)) {
        await client.read((tx) => workload.check(tx, { when: 'under-load', mayLose: 0, rest: () => client.rest() }));
      } else {
        await workload.start(client);
      }
      await client.rest();
      if (this.store.status().poisoned) await client.pause(1);
    }
  }
}

/** An opening that failed, by a fault that was armed. Damage never is the answer to what a crash may do. */
export function isArmedFailure(error: unknown, { failedSync, failedWrite, failedRead, spaceBytes }: LifePlan): boolean {
  if (error instanceof DamagedError || error instanceof CheckFailed) return false;
  const words = describeCauses(error);
  const io = failedSync ?? failedWrite ?? failedRead;
  return (io !== undefined && words.includes('EIO')) || (spaceBytes !== undefined && words.includes('ENOSPC'));
}

function describeCauses(error: unknown): string {
  let words = '';
  for (let fault = error; fault instanceof Error; fault = fault.cause) words += `${fault.message}; `;
  return words;
}

function describeEvent(event: StoreEvent): string {
  return JSON.stringify(event, (_, value: unknown) => (value instanceof Error ? value.message : value));
}

function inText(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `${value}n` : value;
}

function readyKey(name: WorkloadName) {
  return ['ready', name];
}

function isMark(name: string): name is MarkName {
  return (markNames as readonly string[]).includes(name);
}
