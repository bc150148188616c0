import { check, CheckFailed } from '../check-failed.ts';
import { type Act, type Held, Model, runProgram } from './program.ts';

/** When something began, in the order of all beginnings and ends, and the newest version that was acknowledged by then. */
export interface Beginning {
  readonly order: number;
  readonly acknowledged: number;
}

/** A transaction that took effect. */
export class Step {
  readonly acts: readonly Act[];
  readonly began: Beginning;
  seen: readonly unknown[] = [];
  version = 0;

  constructor(acts: readonly Act[], began: Beginning) {
    this.acts = acts;
    this.began = began;
  }
}

/** One that left nothing behind. */
export class Look {
  readonly acts: readonly Act[];
  readonly began: Beginning;
  seen: readonly unknown[] = [];
  ended = 0;

  constructor(acts: readonly Act[], began: Beginning) {
    this.acts = acts;
    this.began = began;
  }
}

/** What took effect since the last check, and the state then. */
export class SerialHistory {
  #state: ReadonlyMap<number, Held> = new Map();
  #version = 0;
  #steps: Step[] = [];
  #looks: Look[] = [];
  #order = 0;
  #acknowledged = 0;

  begin(): Beginning {
    return { order: ++this.#order, acknowledged: this.#acknowledged };
  }

  place(step: Step): void {
    this.#steps.push(step);
    this.#acknowledged = Math.max(this.#acknowledged, step.version);
  }

  looked(look: Look): void {
    look.ended = ++this.#order;
    this.#looks.push(look);
  }

  /** Everything that took effect is known. */
  async check(found: ReadonlyMap<number, Held>): Promise<void> {
    const open = this.#looks.toSorted((one, other) => one.began.acknowledged - other.began.acknowledged);
    let looking = await this.#stillLooking([], open, this.#version);
    for (const step of this.#inOrder()) {
      const after = await this.#replay(step);
      const late = looking.find(({ ended }) => ended < step.began.order);
      if (late !== undefined) throw neverTrue(late);
      this.#state = after;
      this.#version = step.version;
      looking = await this.#stillLooking(looking, open, step.version);
    }
    const [never] = looking;
    if (never !== undefined) throw neverTrue(never);
    check(isSame(found, this.#state), 'serial: the state is what the transactions made', () =>
      differing(found, this.#state),
    );
    this.#steps = [];
    this.#looks = [];
  }

  /** The newest may be gone, and whatever is there is what it was at some moment. */
  async checkCutOff(found: ReadonlyMap<number, Held>): Promise<void> {
    for (const step of [undefined, ...this.#inOrder()]) {
      if (step !== undefined) this.#state = await this.#replay(step);
      if (isSame(found, this.#state)) return;
    }
    throw new CheckFailed('serial: what is left was so at some moment', differing(found, this.#state));
  }

  #inOrder(): readonly Step[] {
    return this.#steps.toSorted((one, other) => one.version - other.version);
  }

  async #replay(step: Step): Promise<ReadonlyMap<number, Held>> {
    const { acts, began, version, seen } = step;
    check(
      version > began.acknowledged,
      'serial: what was acknowledged comes before what began later',
      () => `version ${version} began after ${began.acknowledged} had been acknowledged`,
    );
    const model = new Model(this.#state);
    const serial = await runProgram(acts, model);
    check(
      isEqual(serial, seen),
      'serial: a transaction sees what it sees when all run one at a time',
      () =>
        `${JSON.stringify(acts)} at version ${version} saw ${JSON.stringify(seen)}, one at a time ${JSON.stringify(serial)}`,
    );
    return model.state;
  }

  /** Those that began no later than this state was acknowledged, and have not seen it yet. `open` loses them. */
  async #stillLooking(looking: readonly Look[], open: Look[], version: number): Promise<readonly Look[]> {
    const all = [...looking];
    const begins = (look: Look | undefined): look is Look => look !== undefined && look.began.acknowledged <= version;
    for (let [first] = open; begins(first); [first] = open) {
      open.shift();
      all.push(first);
    }
    const still: Look[] = [];
    for (const look of all)
      if (!isEqual(await runProgram(look.acts, new Model(this.#state)), look.seen)) still.push(look);
    return still;
  }
}

function neverTrue({ acts, seen }: Look): CheckFailed {
  return new CheckFailed(
    'serial: a look sees one moment of its own time',
    `${JSON.stringify(acts)} saw ${JSON.stringify(seen)}, which never was`,
  );
}

function isSame(one: ReadonlyMap<number, Held>, other: ReadonlyMap<number, Held>): boolean {
  return one.size === other.size && [...one].every(([key, value]) => other.get(key) === value);
}

function isEqual(one: readonly unknown[], other: readonly unknown[]): boolean {
  return one.length === other.length && one.every((item, index) => item === other[index]);
}

function differing(found: ReadonlyMap<number, Held>, expected: ReadonlyMap<number, Held>): string {
  const sorted = (state: ReadonlyMap<number, Held>) => JSON.stringify([...state].sort(([a], [b]) => a - b));
  return `it is ${sorted(found)}, expected ${sorted(expected)}`;
}
