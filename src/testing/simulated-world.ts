import { Seeded } from '../check/seeded.ts';
import { realWorld, type World } from '../kv/world.ts';

/**
 * A world whose time is made, not waited for, and whose chance is seeded, so that whatever runs in it is a function of the
 * seed. What `defer` and `after` are given are its *events*. `step` runs one of them, and all promises that follow from it.
 *
 * Which one, chance decides, as on a machine whose clock, disk and network nobody controls: any timer that has fallen due, or
 * the event that was deferred first. Only deferred events keep their order among themselves, as they do in every event loop.
 * Each step takes a moment; where nothing can run, time leaps to the next timer.
 */
export class SimulatedWorld implements World {
  readonly #random: Seeded;
  readonly #stepMsMax: number;
  readonly #deferred: (() => void)[] = [];
  readonly #due: Timer[] = [];
  readonly #timers = new TimerHeap();
  #wallMs: number;
  #monotonicMs = 0;
  #timersSet = 0;
  #steps = 0;
  #digest = 0;

  constructor({ seed, startMs = Date.UTC(2026, 0, 1), stepMsMax = 0.05 }: SimulatedWorldOptions) {
    this.#random = new Seeded(seed);
    this.#wallMs = startMs;
    this.#stepMsMax = stepMsMax;
  }

  /** Events that were run. */
  get steps(): number {
    return this.#steps;
  }

  /** Depends on which events were run, in which order and when: equal digests, equal runs. */
  get digest(): number {
    return this.#digest >>> 0;
  }

  now(): number {
    return Math.floor(this.#wallMs + this.#monotonicMs);
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  after(delayMs: number, act: () => void): () => void {
    const timer: Timer = { atMs: this.#monotonicMs + Math.max(0, delayMs), order: ++this.#timersSet, act };
    this.#timers.add(timer);
    return () => {
      timer.act = undefined;
    };
  }

  defer(act: () => void): void {
    this.#deferred.push(act);
  }

  random(): number {
    return this.#random.fraction();
  }

  randomBytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => Math.floor(this.#random.fraction() * 256));
  }

  /** Resolves after so long. */
  pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.after(delayMs, resolve));
  }

  /** Somebody sets the wall clock; the other one does not notice. */
  jump(byMs: number): void {
    this.#wallMs += byMs;
  }

  /** What waits for an event will never run: its process has died. */
  forget(): void {
    this.#deferred.length = 0;
    this.#due.length = 0;
    this.#timers.clear();
  }

  /** Runs one event and whatever promises follow from it. False where there is none. */
  async step(): Promise<boolean> {
    let event = this.#next();
    if (event === undefined) {
      // Whoever asks may have started something just now that has not come as far as its first event.
      await settled();
      event = this.#next();
    }
    if (event === undefined) return false;
    this.#steps += 1;
    this.#digest = Math.imul(this.#digest ^ (this.#deferred.length + this.#due.length * 31), 0x01000193);
    this.#digest ^= this.#monotonicMs * 1024;
    event();
    await settled();
    // Now and then the real world has its turn, in which a process learns of its signals.
    if (this.#steps % stepsAtOnceMax === 0) await new Promise<void>((resolve) => realWorld.defer(resolve));
    return true;
  }

  /** Runs events until `work` has settled. Rejects where none is left and it still waits, which it then would for ever. */
  async run<T>(work: Promise<T>, { stepsMax = Infinity }: RunLimits = {}): Promise<T> {
    const progress = { done: false };
    const note = (): void => void (progress.done = true);
    work.then(note, note);
    for (let count = 0; !progress.done; count += 1) {
      if (count >= stepsMax) throw new StuckError(`it has not ended within ${stepsMax} steps`);
      if (!(await this.step()) && !progress.done) throw new StuckError('it waits for something that will never happen');
    }
    return work;
  }

  #next(): (() => void) | undefined {
    this.#monotonicMs += this.#random.fraction() * this.#stepMsMax;
    for (;;) {
      this.#collectDue();
      const count = this.#due.length + (this.#deferred.length > 0 ? 1 : 0);
      if (count === 0) {
        const first = this.#timers.first();
        if (first === undefined) return undefined;
        this.#monotonicMs = Math.max(this.#monotonicMs, first.atMs);
        continue;
      }
      const chosen = count === 1 ? 0 : Math.floor(this.#random.fraction() * count);
      if (chosen === this.#due.length) return this.#deferred.shift();
      const [timer] = this.#due.splice(chosen, 1);
      if (timer?.act !== undefined) return timer.act;
    }
  }

  #collectDue(): void {
    for (let timer = this.#timers.first(); timer !== undefined; timer = this.#timers.first()) {
      if (timer.act !== undefined && timer.atMs > this.#monotonicMs) return;
      this.#timers.removeFirst();
      if (timer.act !== undefined) this.#due.push(timer);
    }
  }
}

export interface SimulatedWorldOptions {
  readonly seed: number;
  /** The wall clock at the beginning. Default: the first moment of 2026. */
  readonly startMs?: number;
  /** How long a step takes at most. Default 0.05. */
  readonly stepMsMax?: number;
}

export interface RunLimits {
  /** Default: none. */
  readonly stepsMax?: number;
}

/** Nothing that could still happen would let the work go on. */
export class StuckError extends Error {
  constructor(reason: string) {
    super(reason);
    this.name = 'StuckError';
  }
}

/** A few milliseconds of work. */
const stepsAtOnceMax = 1_000;

/**
 * Resolves when no promise is left that could go on by itself. Node.js runs what `nextTick` was given in a microtask only when
 * the queue of microtasks is empty. (`setImmediate` would do as well, and takes eight times as long.)
 */
function settled(): Promise<void> {
  return new Promise((resolve) => queueMicrotask(() => process.nextTick(resolve)));
}

interface Timer {
  readonly atMs: number;
  /** Of timers that fall due at one time the first to be set comes first. */
  readonly order: number;
  /** `undefined` when it was cancelled. */
  act: (() => void) | undefined;
}

/** A binary heap. Timers that were cancelled stay until they come up, and most are: so a sorted list would cost too much. */
class TimerHeap {
  readonly #timers: Timer[] = [];

  first(): Timer | undefined {
    return this.#timers[0];
  }

  clear(): void {
    this.#timers.length = 0;
  }

  add(timer: Timer): void {
    const timers = this.#timers;
    let place = timers.push(timer) - 1;
    while (place > 0) {
      const above = (place - 1) >> 1;
      const other = timers[above];
      if (other === undefined || isBefore(other, timer)) break;
      timers[place] = other;
      place = above;
    }
    timers[place] = timer;
  }

  removeFirst(): void {
    const timers = this.#timers;
    const last = timers.pop();
    if (last === undefined || timers.length === 0) return;
    let place = 0;
    for (;;) {
      const left = 2 * place + 1;
      const [one, other] = [timers[left], timers[left + 1]];
      if (one === undefined) break;
      const below = other !== undefined && isBefore(other, one) ? left + 1 : left;
      const smaller = below === left ? one : other;
      if (smaller === undefined || isBefore(last, smaller)) break;
      timers[place] = smaller;
      place = below;
    }
    timers[place] = last;
  }
}

function isBefore(one: Timer, other: Timer): boolean {
  return one.atMs === other.atMs ? one.order < other.order : one.atMs < other.atMs;
}
