import { LockTimeoutError } from '../../src/kv/errors.ts';
import type { Key, Range } from '../../src/kv/key.ts';
import type { Bounds, Entry, Transaction } from '../../src/kv/store.ts';
import type { Seeded } from '../seeded.ts';

/** What a random transaction does, step by step, so that it can be done again on a plain map. */
export type Act =
  | { readonly act: 'get' | 'delete'; readonly key: number }
  | { readonly act: 'set'; readonly key: number; readonly value: Held }
  | { readonly act: 'add'; readonly key: number; readonly amount: number; readonly bounds: Bounds }
  | {
      readonly act: 'scan';
      readonly from: number;
      readonly to: number;
      readonly reverse: boolean;
      readonly limit: number;
    }
  | { readonly act: 'nest'; readonly acts: readonly Act[]; readonly discard: boolean }
  | { readonly act: 'lock'; readonly from: number; readonly to: number; readonly mode: 'shared' | 'exclusive' }
  | { readonly act: 'prepare' }
  | { readonly act: 'rest' };

export type Held = number | string;

/** Whatever a program can run on. */
export interface Subject {
  get(key: number): Promise<Held | undefined>;
  set(key: number, value: Held): void;
  delete(key: number): void;
  add(key: number, amount: number, bounds: Bounds): Promise<string>;
  scan(act: Extract<Act, { act: 'scan' }>): AsyncIterable<readonly [number, Held]>;
  nest(body: (scope: Subject) => Promise<void>): Promise<void>;
  lock(act: Extract<Act, { act: 'lock' }>): Promise<void>;
  prepare(): Promise<void>;
  rest(): Promise<void>;
}

/** Runs a program and answers whatever it was told on the way. */
export async function runProgram(acts: readonly Act[], subject: Subject): Promise<readonly unknown[]> {
  const seen: unknown[] = [];
  for (const act of acts) {
    switch (act.act) {
      case 'get':
        seen.push((await subject.get(act.key)) ?? null);
        break;
      case 'set':
        subject.set(act.key, act.value);
        break;
      case 'delete':
        subject.delete(act.key);
        break;
      case 'add':
        seen.push(await subject.add(act.key, act.amount, act.bounds));
        break;
      case 'scan':
        for await (const [key, value] of subject.scan(act)) seen.push(key, value);
        break;
      case 'nest':
        await subject
          .nest(async (scope) => {
            seen.push(...(await runProgram(act.acts, scope)));
            if (act.discard) throw new Discarded();
          })
          .catch((error: unknown) => {
            if (!(error instanceof Discarded)) throw error;
          });
        break;
      case 'lock':
        await subject.lock(act);
        break;
      case 'prepare':
        await subject.prepare();
        break;
      case 'rest':
        await subject.rest();
        break;
    }
  }
  return seen;
}

/** A scope, or a transaction, that throws itself away. */
export class Discarded extends Error {}

export function randomProgram(random: Seeded, keys: number, depth = 0): readonly Act[] {
  return Array.from({ length: random.integer(1, 5) }, (): Act => {
    const key = random.integer(0, keys - 1);
    const range = { from: key, to: random.integer(key + 1, keys) };
    switch (random.integer(0, depth < 2 ? 13 : 9)) {
      case 0:
      case 1:
        return { act: 'get', key };
      case 2:
        return { act: 'set', key, value: randomValue(random) };
      case 3:
        return { act: 'delete', key };
      case 4:
      case 5: {
        const bounds = { min: random.integer(0, 1), max: random.integer(2, 4) };
        return { act: 'add', key, amount: random.integer(-2, 2), bounds };
      }
      case 6:
        return { act: 'scan', ...range, reverse: random.chance(0.5), limit: random.pick([1, 2, 3, Infinity]) };
      case 7:
      case 8:
      case 9:
        return { act: 'rest' };
      case 10:
        return { act: 'lock', ...range, mode: random.pick(['shared', 'exclusive']) };
      case 11:
        return random.chance(0.3) ? { act: 'prepare' } : { act: 'get', key };
      default:
        return { act: 'nest', acts: randomProgram(random, keys, depth + 1), discard: random.chance(0.35) };
    }
  });
}

/** What a snapshot can be asked, with time between. */
export function readingProgram(random: Seeded, keys: number): readonly Act[] {
  return randomProgram(random, keys, 2).flatMap((act): Act[] => {
    if (act.act === 'get' || act.act === 'scan') return [act, { act: 'rest' }];
    return [{ act: 'rest' }, { act: 'scan', from: 0, to: keys, reverse: random.chance(0.5), limit: Infinity }];
  });
}

/** Mostly small numbers, which additions can be made to; now and then more than a sector of a disk. */
function randomValue(random: Seeded): Held {
  const way = random.fraction();
  if (way < 0.8) return random.integer(0, 4);
  return way < 0.95 ? 'text' : String(random.integer(0, 9)).repeat(random.integer(100, 1_500));
}

/** A transaction as a subject. */
export function subjectOf(tx: Transaction, prefix: Key, rest: () => Promise<void>): Subject {
  const keyOf = (key: number): Key => [...prefix, key];
  const rangeOf = ({ from, to }: { readonly from: number; readonly to: number }): Range => ({
    start: keyOf(from),
    end: keyOf(to),
  });
  return {
    get: (key) => tx.get(keyOf(key)) as Promise<Held | undefined>,
    set: (key, value) => tx.set(keyOf(key), value),
    delete: (key) => tx.delete(keyOf(key)),
    async add(key, amount, bounds) {
      const answer = await tx.add(keyOf(key), amount, bounds);
      return answer.outcome === 'ok' ? 'ok' : answer.reason;
    },
    scan: (act) =>
      plain(tx.scan(rangeOf(act), { reverse: act.reverse, ...(act.limit === Infinity ? {} : { limit: act.limit }) })),
    nest: (body) => tx.nest((scope) => body(subjectOf(scope, prefix, rest))),
    async lock(act) {
      try {
        await tx.lock(rangeOf(act), { mode: act.mode, timeoutMs: 20 });
      } catch (error) {
        if (!(error instanceof LockTimeoutError)) throw error;
      }
    },
    prepare: () => tx.prepare(),
    rest,
  };
}

async function* plain(entries: AsyncIterable<Entry>): AsyncGenerator<readonly [number, Held]> {
  for await (const { key, value } of entries) yield [Number(key.at(-1)), value as Held];
}

/** What a transaction means, in the plainest way. */
export class Model implements Subject {
  state: Map<number, Held>;

  constructor(state: ReadonlyMap<number, Held>) {
    this.state = new Map(state);
  }

  async get(key: number): Promise<Held | undefined> {
    return this.state.get(key);
  }

  set(key: number, value: Held): void {
    this.state.set(key, value);
  }

  delete(key: number): void {
    this.state.delete(key);
  }

  async add(key: number, amount: number, { min, max }: Bounds): Promise<string> {
    const before = this.state.get(key) ?? 0;
    if (typeof before !== 'number') return 'not-addable';
    const sum = before + amount;
    if (min !== undefined && sum < min) return 'below-min';
    if (max !== undefined && sum > max) return 'above-max';
    this.state.set(key, sum);
    return 'ok';
  }

  async *scan({ from, to, reverse, limit }: Extract<Act, { act: 'scan' }>): AsyncGenerator<readonly [number, Held]> {
    const entries = [...this.state].filter(([key]) => key >= from && key < to).sort(([a], [b]) => a - b);
    if (reverse) entries.reverse();
    yield* entries.slice(0, limit);
  }

  async nest(body: (scope: Subject) => Promise<void>): Promise<void> {
    const scope = new Model(this.state);
    await body(scope);
    this.state = scope.state;
  }

  async lock(): Promise<void> {}

  async prepare(): Promise<void> {}

  async rest(): Promise<void> {}
}
