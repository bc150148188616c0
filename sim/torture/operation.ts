import type { Seeded } from '../seeded.ts';

/** One operation, as many times as it may be sent: the same key, the same request. */
export interface Operation {
  /** Its Idempotency-Key. */
  readonly id: string;
  readonly kind: OperationKind;
  readonly request: OperationRequest;
  /** What it changes, if it takes effect. */
  readonly effect: Effect;
  /** What the answer may be. `either`: it depends on who came first, and the answer tells. */
  readonly fate: 'effective' | 'refused' | 'either';
}

export type OperationKind = 'transfer' | 'count' | 'over-bound' | 'failed-check' | 'put' | 'delete';

export interface OperationRequest {
  readonly method: 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly body: string | undefined;
}

export interface Effect {
  readonly sets: readonly { readonly key: string; readonly value: unknown }[];
  readonly deletes: readonly string[];
  readonly adds: readonly { readonly key: string; readonly by: number }[];
}

export const accounts: readonly string[] = Array.from({ length: 8 }, (_, index) => `account/${index}`);
export const openingBalance = 1_000;
/** One for each operation that took effect by a transaction. */
export const effectCounter = 'counter/effects';
const transferCounter = 'counter/transfers';
const things = 64;

/** The key that an operation, and no other, writes. */
export function ownKey(id: string): string {
  return `op/${id}`;
}

/** Opens the accounts. */
export function openingOperations(): readonly Operation[] {
  return accounts.map((account, index) => putOperation(`opening-${index}`, account, openingBalance));
}

/** Makes the operations of one round. PUT and DELETE each get a thing of their own, so that their order does not matter. */
export class OperationMaker {
  readonly #seeded: Seeded;
  readonly #prefix: string;
  readonly #things: string[];
  #count = 0;

  constructor(seeded: Seeded, prefix: string) {
    this.#seeded = seeded;
    this.#prefix = prefix;
    this.#things = seeded.shuffled(Array.from({ length: things }, (_, index) => `thing/${index} ü/..%2f`));
  }

  make(): Operation {
    const seeded = this.#seeded;
    const id = `${this.#prefix}-${this.#count++}`;
    const dice = seeded.fraction();
    if (dice < 0.5) return this.#transfer(id);
    if (dice < 0.66) return this.#counting(id);
    if (dice < 0.74) return overBound(id, seeded.pick(accounts));
    if (dice < 0.8) return failedCheck(id, seeded.pick(accounts));
    const thing = this.#things.pop();
    if (thing === undefined) return this.#transfer(id);
    if (dice < 0.93) return putOperation(id, thing, { operation: id, note: `é${seeded.integer(0, 999_999)}😀` });
    return {
      id,
      kind: 'delete',
      request: { method: 'DELETE', path: kvPath(thing), body: undefined },
      effect: { sets: [], deletes: [thing], adds: [] },
      fate: 'effective',
    };
  }

  #transfer(id: string): Operation {
    const seeded = this.#seeded;
    const [from = '', to = ''] = seeded.shuffled(accounts);
    const amount = seeded.integer(1, 400);
    const moves = [
      { key: from, by: -amount, min: 0 },
      { key: to, by: amount },
      { key: transferCounter, by: 1 },
    ];
    // To read what it added to is to conflict with the others, and to run again.
    const reads = seeded.fraction() < 0.25 ? [from, to] : [ownKey(id)];
    return transaction(id, 'transfer', { moves, value: { from, to, amount }, reads });
  }

  #counting(id: string): Operation {
    return transaction(id, 'count', { moves: [], value: this.#seeded.integer(0, 9), reads: [] });
  }
}

interface Parts {
  readonly moves: readonly { readonly key: string; readonly by: number; readonly min?: number }[];
  readonly value: unknown;
  readonly reads: readonly string[];
}

/** It demands that its own key is absent, so executed twice it would answer another thing than before. */
function transaction(id: string, kind: OperationKind, { moves, value, reads }: Parts): Operation {
  const key = ownKey(id);
  const adds = [...moves, { key: effectCounter, by: 1 }];
  const body = {
    checks: [{ key, version: null }],
    mutations: [{ set: { key, value } }, ...adds.map((add) => ({ add }))],
    ...(reads.length === 0 ? {} : { reads }),
  };
  return {
    id,
    kind,
    request: post(body),
    effect: { sets: [{ key, value }], deletes: [], adds },
    fate: moves.some(({ min }) => min !== undefined) ? 'either' : 'effective',
  };
}

/** It writes before it is refused. */
function overBound(id: string, account: string): Operation {
  const mutations = [
    { set: { key: ownKey(id), value: 'must not stay' } },
    { add: { key: effectCounter, by: 1 } },
    { add: { key: account, by: -1_000_000_000, min: 0 } },
  ];
  return { id, kind: 'over-bound', request: post({ mutations }), effect: nothing, fate: 'refused' };
}

function failedCheck(id: string, account: string): Operation {
  const body = {
    checks: [{ key: account, version: null }],
    mutations: [{ set: { key: ownKey(id), value: 'must not be' } }],
  };
  return { id, kind: 'failed-check', request: post(body), effect: nothing, fate: 'refused' };
}

const nothing: Effect = { sets: [], deletes: [], adds: [] };

function putOperation(id: string, key: string, value: unknown): Operation {
  return {
    id,
    kind: 'put',
    request: { method: 'PUT', path: kvPath(key), body: JSON.stringify(value) },
    effect: { sets: [{ key, value }], deletes: [], adds: [] },
    fate: 'effective',
  };
}

function post(body: unknown): OperationRequest {
  return { method: 'POST', path: '/v1/transactions', body: JSON.stringify(body) };
}

function kvPath(key: string): string {
  return `/v1/kv/${encodeURIComponent(key)}`;
}
