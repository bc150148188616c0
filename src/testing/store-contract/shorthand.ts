import { expect } from 'vitest';
import type { SemelError } from '../../kv/errors.ts';
import type { Key, Range } from '../../kv/key.ts';
import type { ReadTransaction, ScanOptions, Store } from '../../kv/store.ts';
import type { Value } from '../../kv/value.ts';
import { realWorld, type World } from '../../kv/world.ts';

/** Opens an empty store, which the suite closes after the test. */
export type OpenStore = (world?: World) => Promise<Store>;

/** Sets one key in a transaction of its own: what a competitor does. */
export function put(store: Store, key: Key, value: Value): Promise<void> {
  return store.transact((tx) => tx.set(key, value));
}

/**
 * What a competitor does who leaves no serial order: it sets a key that another transaction has read, having read itself what that one
 * is about to write. So neither can come before the other.
 */
export function cross(store: Store, read: Key, key: Key, value: Value): Promise<void> {
  return store.transact(async (tx) => {
    await tx.get(read);
    tx.set(key, value);
  });
}

/** What anybody would find now. */
export function look(store: Store, key: Key): Promise<Value | undefined> {
  return store.read((tx) => tx.get(key));
}

export async function keysOf(tx: ReadTransaction, range: Range, options?: ScanOptions): Promise<Key[]> {
  const keys: Key[] = [];
  for await (const { key } of tx.scan(range, options)) keys.push(key);
  return keys;
}

export async function pairsOf(tx: ReadTransaction, range: Range, options?: ScanOptions): Promise<[Key, Value][]> {
  const pairs: [Key, Value][] = [];
  for await (const { key, value } of tx.scan(range, options)) pairs.push([key, value]);
  return pairs;
}

/** The fault that the work ends with. The work may also fail at once, by throwing. */
export async function faultOf<Fault extends SemelError>(
  kind: new (...given: never[]) => Fault,
  work: Promise<unknown> | (() => unknown),
): Promise<Fault> {
  let outcome: unknown = 'no fault';
  try {
    await (typeof work === 'function' ? work() : work);
  } catch (error) {
    outcome = error;
  }
  if (outcome instanceof kind) return outcome;
  expect(outcome).toBeInstanceOf(kind);
  throw new Error('unreachable: the expectation before this line failed');
}

const turnsPlenty = 20;

/** Gives everything that could go on now the turns to do so: what has not happened afterwards waits for something. */
export async function letOthersRun(): Promise<void> {
  for (let turn = 0; turn < turnsPlenty; turn++) await new Promise<void>((resolve) => realWorld.defer(resolve));
}

/** Writes `name` on the list when the work is done. Its failure is for the test to await elsewhere. */
export function note(list: string[], name: string, work: Promise<unknown>): void {
  work.then(
    () => list.push(name),
    () => undefined,
  );
}

/** A meeting point: everyone waits in it until `count` have come; who comes later passes. */
export function meeting(count: number): () => Promise<void> {
  const complete = Promise.withResolvers<void>();
  let missing = count;
  return () => {
    if (--missing === 0) complete.resolve();
    return complete.promise;
  };
}
