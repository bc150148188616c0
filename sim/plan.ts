import type { OpenOptions } from '../src/engines/embedded/embedded.ts';
import type { PowerCut } from '../src/testing/simulated-disk.ts';
import { Seeded } from './seeded.ts';
import { type WorkloadName, workloadNames } from './workloads/all-workloads.ts';

/** All that decides what a run does. What is not said follows from the seed. */
export interface Plan {
  readonly seed: number;
  /** Events to run before the faults end. */
  readonly steps: number;
  readonly workloads: readonly WorkloadName[];
  /** Of each workload. */
  readonly clients: number;
  /** That each client does at most, over all lives. */
  readonly operations: number;
  readonly without: readonly Fault[];
  /** How the store keeps its files: small, so that much happens to them. */
  readonly storage: Storage;
}

export type Storage = Required<Pick<OpenOptions, 'checkpointBytes' | 'segmentBytes'>>;

/** Whatever can go wrong, by name, so that a story can be told without it. */
export const faults = [
  'power-cut',
  'kill',
  'failed-sync',
  'failed-write',
  'failed-read',
  'full-disk',
  'slow-disk',
  'clock-jump',
  'impatience',
  'flipped-bit',
  'misdirected-write',
] as const;

export type Fault = (typeof faults)[number];

/** The plan that a seed means: one to three workloads on one store, where none is asked for. */
export function planOf(seed: number, steps: number, asked: Partial<Plan> = {}): Plan {
  const random = Seeded.of(seed, 'plan');
  const drawn = random.shuffled(workloadNames).slice(0, random.pick([1, 1, 2, 3]));
  const clients = random.integer(2, 6);
  const storage = drawStorage(random);
  return { seed, steps, workloads: drawn, clients, operations: Infinity, without: [], storage, ...asked };
}

function drawStorage(random: Seeded): Storage {
  return {
    checkpointBytes: random.pick([3_000, 30_000, 2 ** 24]),
    segmentBytes: random.pick([1_000, 10_000, 2 ** 26]),
  };
}

/** What happens to one process. */
export interface LifePlan {
  /** After so many events it ends, if it has not ended before. */
  readonly steps: number;
  readonly end: 'power-cut' | 'kill' | 'close';
  /** It ends as soon as it has opened the store. */
  readonly looksOnly: boolean;
  readonly cut: PowerCut | undefined;
  /** The power is cut, as often as not, where two writes that no sync has parted begin in two sectors: they may be reordered. */
  readonly cutsAmidWrites: boolean;
  /** So many events after the sync that fails, the power is cut. */
  readonly cutAfterFailure: number | undefined;
  readonly failedSync: number | undefined;
  readonly failedWrite: number | undefined;
  readonly failedRead: number | undefined;
  readonly spaceBytes: number | undefined;
  /** How much longer than usual a sync takes. */
  readonly slowness: number;
  readonly clockJumps: boolean;
  readonly impatience: boolean;
}

export function planLife({ seed, without }: Plan, life: number): LifePlan {
  const random = Seeded.of(seed, 'life', life);
  const may = (fault: Fault, probability: number): boolean => random.chance(probability) && !without.includes(fault);
  const soonOrLate = (most: number): number => Math.ceil(most ** random.fraction());
  const cutAt: PowerCut = { operation: soonOrLate(600), when: random.chance(0.5) ? 'before' : 'during' };
  const [failedSync, failedWrite, failedRead] = [soonOrLate(200), soonOrLate(300), 1];
  const spaceBytes = Math.floor(40_000 ** random.fraction());
  const ends = (['power-cut', 'kill'] as const).filter((end) => !without.includes(end));
  return {
    steps: Math.round(40 * 50 ** random.fraction()),
    end: random.pick([...ends, ...ends, 'close']),
    looksOnly: random.chance(0.15),
    cut: may('power-cut', 0.35) ? cutAt : undefined,
    cutsAmidWrites: may('power-cut', 0.4),
    cutAfterFailure: may('power-cut', 0.5) ? soonOrLate(150) : undefined,
    failedSync: may('failed-sync', 0.12) ? failedSync : undefined,
    failedWrite: may('failed-write', 0.06) ? failedWrite : undefined,
    failedRead: may('failed-read', 0.04) ? failedRead : undefined,
    spaceBytes: may('full-disk', 0.1) ? spaceBytes : undefined,
    slowness: may('slow-disk', 0.2) ? random.pick([10, 100]) : 1,
    clockJumps: may('clock-jump', 0.3),
    impatience: may('impatience', 0.3),
  };
}

/** No fault, and a clean end: whatever waits must come to its end now. */
export const calmLife: LifePlan = Object.freeze({
  steps: 300,
  end: 'close',
  looksOnly: false,
  cut: undefined,
  cutsAmidWrites: false,
  cutAfterFailure: undefined,
  failedSync: undefined,
  failedWrite: undefined,
  failedRead: undefined,
  spaceBytes: undefined,
  slowness: 1,
  clockJumps: false,
  impatience: false,
});

/** How the medium rots at the end of a run, when all else has been checked. */
export interface RotPlan {
  readonly flippedBits: number;
  readonly misdirectedWrite: number | undefined;
  readonly end: 'power-cut' | 'kill';
}

export function planRot({ seed, without }: Plan): RotPlan | undefined {
  const random = Seeded.of(seed, 'rot');
  if (random.chance(0.5)) return undefined;
  const misdirects = random.chance(0.4);
  const write = random.integer(1, 20);
  const flippedBits = misdirects || without.includes('flipped-bit') ? 0 : 1;
  const misdirectedWrite = misdirects && !without.includes('misdirected-write') ? write : undefined;
  if (flippedBits === 0 && misdirectedWrite === undefined) return undefined;
  // What is in the kernel's cache hides that a write went elsewhere, until the power is cut.
  return { flippedBits, misdirectedWrite, end: misdirects || random.chance(0.5) ? 'power-cut' : 'kill' };
}
