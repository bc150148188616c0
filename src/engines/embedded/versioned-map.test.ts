import fc from 'fast-check';
import { expect, test } from 'vitest';
import { storeValue } from '../../kv/value.ts';
import { VersionedMap } from './versioned-map.ts';

const everything = { start: '', end: undefined };
const unlimited = Infinity;

function put(map: VersionedMap, key: string, sequence: number, value: number | undefined): void {
  map.install(key, sequence, sequence, value === undefined ? undefined : storeValue(value));
}

test('VersionedMap shows each snapshot what was newest at its sequence', () => {
  const map = new VersionedMap();
  put(map, 'a', 1, 10);
  put(map, 'a', 3, 30);
  put(map, 'a', 5, undefined);
  expect([0, 1, 2, 3, 4, 5].map((sequence) => map.at('a', sequence)?.value)).toEqual([
    undefined,
    10,
    10,
    30,
    30,
    undefined,
  ]);
});

test('VersionedMap shows of an old version all that it was: its number, and whether bytes are in it', () => {
  const map = new VersionedMap();
  map.install('a', 1, 71, storeValue(new Uint8Array([1])));
  map.install('a', 2, 72, storeValue('text'));
  map.install('a', 3, 73, storeValue('text'));
  expect(map.at('a', 1)).toMatchObject({ sequence: 1, version: 71, hasBytes: true });
  expect(map.at('a', 2)).toMatchObject({ sequence: 2, version: 72, hasBytes: false });
});

test('VersionedMap keeps what the horizon still sees and lets go of the rest', () => {
  const map = new VersionedMap();
  for (let sequence = 1; sequence <= 4; sequence++) put(map, 'a', sequence, sequence);
  map.collect(2, unlimited);
  expect(map.versions).toBe(3);
  expect(map.at('a', 2)?.value).toBe(2);
  map.collect(4, unlimited);
  expect(map.versions).toBe(1);
});

test('VersionedMap forgets a deleted key when nobody can see what it was', () => {
  const map = new VersionedMap();
  put(map, 'a', 1, 1);
  put(map, 'a', 2, undefined);
  map.collect(1, unlimited);
  expect(map.keys).toBe(1);
  map.collect(2, unlimited);
  expect({ keys: map.keys, versions: map.versions }).toEqual({ keys: 0, versions: 0 });
  expect(map.chunk(everything, undefined, 10, false)).toEqual([]);
});

test('VersionedMap does not forget a key that was deleted and set again', () => {
  const map = new VersionedMap();
  put(map, 'a', 1, 1);
  put(map, 'a', 2, undefined);
  put(map, 'a', 3, 3);
  map.collect(3, unlimited);
  expect(map.newest('a')?.value).toBe(3);
  expect(map.versions).toBe(1);
});

test('VersionedMap does not forget what a key was between two deletions when the first of them is collected', () => {
  const map = new VersionedMap();
  put(map, 'a', 1, 1);
  put(map, 'a', 2, undefined);
  put(map, 'a', 3, 3);
  put(map, 'a', 4, undefined);
  map.collect(2, unlimited);
  expect([2, 3, 4].map((sequence) => map.at('a', sequence)?.value)).toEqual([undefined, 3, undefined]);
  map.collect(4, unlimited);
  expect(map.keys).toBe(0);
});

test('VersionedMap does not forget a key that recovery deletes and sets again, all at one sequence', () => {
  const map = new VersionedMap();
  for (const value of [1, undefined, 3]) put(map, 'a', 0, value);
  map.collect(0, unlimited);
  expect(map.at('a', 0)?.value).toBe(3);
});

test('VersionedMap still finds what a snapshot sees when its list of old versions has moved', () => {
  const map = new VersionedMap();
  const newest = 5_000;
  for (let sequence = 1; sequence <= newest; sequence++) put(map, sequence % 2 === 0 ? 'a' : 'b', sequence, sequence);
  // Past each size at which the list moves.
  for (let horizon = 500; horizon < newest; horizon += 500) {
    map.collect(horizon, unlimited);
    for (let sequence = horizon; sequence <= newest; sequence += 7) {
      const even = sequence - (sequence % 2);
      expect(map.at('a', sequence)?.value).toBe(even);
      expect(map.at('b', sequence)?.value).toBe(even === sequence ? sequence - 1 : sequence);
    }
    expect(map.versions).toBe(newest - horizon + 2);
  }
});

test('VersionedMap collects in steps of the size asked for', () => {
  const map = new VersionedMap();
  for (let sequence = 1; sequence <= 10; sequence++) put(map, 'a', sequence, sequence);
  expect(map.collect(10, 3)).toBe(true);
  expect(map.collect(10, unlimited)).toBe(false);
  expect(map.versions).toBe(1);
});

test('VersionedMap pages through a range in both directions while it changes', () => {
  const map = new VersionedMap();
  for (const key of ['a', 'b', 'c', 'd']) put(map, key, 1, 1);
  const keys = (after: string | undefined, reverse: boolean): string[] =>
    map.chunk({ start: 'a', end: 'd' }, after, 2, reverse).map((chain) => chain.key);
  expect(keys(undefined, false)).toEqual(['a', 'b']);
  put(map, 'bb', 2, 2);
  expect(keys('b', false)).toEqual(['bb', 'c']);
  expect(keys(undefined, true)).toEqual(['c', 'bb']);
  expect(keys('bb', true)).toEqual(['b', 'a']);
});

test('VersionedMap agrees with a plain history over every snapshot that is not collected', () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd');
  const step = fc.oneof(
    fc.record({ kind: fc.constant('put' as const), key, value: fc.option(fc.nat(9), { nil: undefined }) }),
    fc.record({ kind: fc.constant('collect' as const), back: fc.nat(5), count: fc.integer({ min: 1, max: 3 }) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const map = new VersionedMap();
      const history: ReadonlyMap<string, number>[] = [new Map()];
      let horizon = 0;
      for (const step of steps) {
        const last = history.length - 1;
        if (step.kind === 'collect') {
          horizon = Math.max(horizon, last - step.back);
          map.collect(horizon, step.count);
          continue;
        }
        const next = new Map(history[last]);
        if (step.value === undefined) next.delete(step.key);
        else next.set(step.key, step.value);
        history.push(next);
        put(map, step.key, last + 1, step.value);
      }
      for (let sequence = horizon; sequence < history.length; sequence++) {
        for (const key of ['a', 'b', 'c', 'd']) expect(map.at(key, sequence)?.value).toBe(history[sequence]?.get(key));
      }
      map.collect(Infinity, unlimited);
      const newest = history.at(-1) ?? new Map();
      expect({ keys: map.keys, versions: map.versions }).toEqual({ keys: newest.size, versions: newest.size });
    }),
  );
});
