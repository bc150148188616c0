import { expect, test } from 'vitest';
import type { Bounds, Entry, Transaction } from '../../kv/store.ts';
import type { Value } from '../../kv/value.ts';
import { realWorld } from '../../kv/world.ts';
import { openStore } from './embedded-store.ts';

/**
 * Clients run random transactions at once: points, ranges, additions with bounds, nested scopes, locks. Then the same
 * programs run one at a time, in the order of their commits, on a plain map. Serializable means that each of them saw on
 * the store what it sees there.
 */
const rounds = 40;
const clients = 6;
const transactionsEach = 8;
const keys = 5;

type Step =
  | { readonly act: 'get' | 'delete'; readonly key: number }
  | { readonly act: 'set'; readonly key: number; readonly value: Value }
  | { readonly act: 'add'; readonly key: number; readonly amount: number; readonly bounds: Bounds }
  | {
      readonly act: 'scan';
      readonly from: number;
      readonly to: number;
      readonly reverse: boolean;
      readonly limit: number;
    }
  | { readonly act: 'nest'; readonly steps: readonly Step[]; readonly discard: boolean }
  | { readonly act: 'lock'; readonly from: number; readonly to: number; readonly mode: 'shared' | 'exclusive' }
  | { readonly act: 'rest' };

type Subject = Pick<Transaction, 'get' | 'set' | 'delete' | 'add' | 'lock'> & {
  scan(...given: Parameters<Transaction['scan']>): AsyncIterable<Pick<Entry, 'key' | 'value'>>;
  nest(body: (scope: Subject) => Promise<void>): Promise<void>;
};

test('transact is serializable: random transactions at once see what they see one at a time', async () => {
  for (let seed = 1; seed <= rounds; seed++) {
    await round(seed).catch((error: unknown) => {
      throw new Error(`seed ${seed}`, { cause: error });
    });
  }
});

async function round(seed: number): Promise<void> {
  const store = await openStore();
  const random = randomFrom(seed);
  const history: ReadonlyMap<number, Value>[] = [new Map()];
  let placed = Promise.resolve();
  const client = async (): Promise<void> => {
    for (let count = 0; count < transactionsEach; count++) {
      const program = programOf(random, 0);
      const begun = history.length - 1;
      const seen = await store.transact((tx) => run(program, subjectOf(tx)));
      // In memory, commits are answered in the order in which they took place.
      placed = placed.then(() => place(program, seen, history, begun));
      await placed;
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  const left = await store.read((tx) => Array.fromAsync(tx.scan({})));
  const expected = [...(history.at(-1) ?? [])].sort(([a], [b]) => a - b);
  expect(left.map(({ key, value }) => [key[0], value])).toEqual(expected);
  await store.close();
}

async function place(
  program: readonly Step[],
  seen: readonly unknown[],
  history: ReadonlyMap<number, Value>[],
  begun: number,
): Promise<void> {
  const newest = history.at(-1) ?? new Map<number, Value>();
  const model = new Model(newest);
  const modelled = await run(program, model);
  if (JSON.stringify(modelled) === JSON.stringify(seen)) {
    history.push(model.state);
    return;
  }
  // One that changed nothing may have taken place at any time since it began.
  for (const state of history.slice(begun)) {
    const earlier = new Model(state);
    const unchanged = JSON.stringify(await run(program, earlier)) === JSON.stringify(seen);
    if (unchanged && sameState(earlier.state, state)) return;
  }
  expect({ program, seen }).toEqual({ program, seen: modelled });
}

/** Runs a program and answers whatever it was told on the way. */
async function run(program: readonly Step[], subject: Subject): Promise<readonly unknown[]> {
  const seen: unknown[] = [];
  for (const step of program) {
    switch (step.act) {
      case 'get':
        seen.push((await subject.get([step.key])) ?? null);
        break;
      case 'set':
        subject.set([step.key], step.value);
        break;
      case 'delete':
        subject.delete([step.key]);
        break;
      case 'add':
        seen.push(await subject.add([step.key], step.amount, step.bounds));
        break;
      case 'scan':
        for await (const { key, value } of subject.scan(rangeOf(step), step)) seen.push([key, value]);
        break;
      case 'nest': {
        const nested = subject.nest(async (scope) => {
          seen.push(...(await run(step.steps, scope)));
          if (step.discard) throw new Discard();
        });
        await nested.catch((error: unknown) => {
          if (!(error instanceof Discard)) throw error;
        });
        break;
      }
      case 'lock':
        await subject.lock(rangeOf(step), { mode: step.mode });
        break;
      case 'rest':
        await new Promise<void>((resolve) => realWorld.defer(resolve));
        break;
    }
  }
  return seen;
}

class Discard extends Error {}

function rangeOf({ from, to }: { readonly from: number; readonly to: number }) {
  return { start: [from], end: [to] };
}

function subjectOf(tx: Transaction): Subject {
  return {
    get: (key) => tx.get(key),
    set: (key, value) => tx.set(key, value),
    delete: (key) => tx.delete(key),
    add: (key, amount, bounds) => tx.add(key, amount, bounds),
    lock: (target, options) => tx.lock(target, options),
    scan: (range, { reverse = false, limit = Infinity } = {}) => tx.scan(range, { reverse, limit }),
    nest: (body) => tx.nest((scope) => body(subjectOf(scope))),
  };
}

/** What a transaction means, in the plainest way. */
class Model implements Subject {
  state: Map<number, Value>;

  constructor(state: ReadonlyMap<number, Value>) {
    this.state = new Map(state);
  }

  async get([key]: readonly unknown[]): Promise<Value | undefined> {
    return this.state.get(Number(key));
  }

  set([key]: readonly unknown[], value: Value): void {
    this.state.set(Number(key), value);
  }

  delete([key]: readonly unknown[]): void {
    this.state.delete(Number(key));
  }

  add: Subject['add'] = async ([key], amount, { min, max } = {}) => {
    const before = this.state.get(Number(key)) ?? 0;
    if (typeof before !== 'number') return { outcome: 'refused', reason: 'not-addable' };
    const sum = before + Number(amount);
    if (min !== undefined && sum < min) return { outcome: 'refused', reason: 'below-min' };
    if (max !== undefined && sum > max) return { outcome: 'refused', reason: 'above-max' };
    this.state.set(Number(key), sum);
    return { outcome: 'ok' };
  };

  async *scan(...[range, options]: Parameters<Subject['scan']>) {
    const [from, to] = [Number(range.start?.[0]), Number(range.end?.[0])];
    const entries = [...this.state].filter(([key]) => key >= from && key < to).sort(([a], [b]) => a - b);
    if (options?.reverse === true) entries.reverse();
    for (const [key, value] of entries.slice(0, options?.limit)) yield { key: [key], value };
  }

  async nest(body: (scope: Subject) => Promise<void>): Promise<void> {
    const scope = new Model(this.state);
    await body(scope);
    this.state = scope.state;
  }

  async lock(): Promise<void> {}
}

function programOf(random: () => number, depth: number): readonly Step[] {
  const below = (bound: number): number => Math.floor(random() * bound);
  return Array.from({ length: 1 + below(4) }, (): Step => {
    const key = below(keys);
    const range = { from: key, to: key + 1 + below(keys - key) };
    switch (below(depth < 2 ? 10 : 8)) {
      case 0:
      case 1:
        return { act: 'get', key };
      case 2:
        return { act: 'set', key, value: below(10) === 0 ? 'text' : below(4) };
      case 3:
        return { act: 'delete', key };
      case 4:
      case 5:
        return { act: 'add', key, amount: below(5) - 2, bounds: { min: below(2), max: 2 + below(3) } };
      case 6:
        return { act: 'scan', ...range, reverse: below(2) === 0, limit: 1 + below(keys) };
      case 7:
        return { act: 'rest' };
      case 8:
        return { act: 'lock', ...range, mode: below(2) === 0 ? 'shared' : 'exclusive' };
      default:
        return { act: 'nest', steps: programOf(random, depth + 1), discard: below(3) === 0 };
    }
  });
}

function sameState(a: ReadonlyMap<number, Value>, b: ReadonlyMap<number, Value>): boolean {
  return a.size === b.size && [...a].every(([key, value]) => b.get(key) === value);
}

/** Mulberry32: small, and good enough to choose steps. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
