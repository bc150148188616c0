import fc from 'fast-check';
import { expect, test } from 'vitest';
import { storeValue } from '../../kv/value.ts';
import { VersionedMap } from './versioned-map.ts';

const everything = { start: '', end: undefined };

type Act =
  | { readonly act: 'put'; readonly key: string; readonly isDeletion: boolean }
  | { readonly act: 'pin' }
  | { readonly act: 'release'; readonly which: number }
  | { readonly act: 'collect' | 'thin' | 'sweep'; readonly count: number };

const acts: fc.Arbitrary<readonly Act[]> = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ act: fc.constant('put'), key: fc.constantFrom('a', 'b', 'c'), isDeletion: fc.boolean() }),
    },
    { weight: 2, arbitrary: fc.record({ act: fc.constant('pin') }) },
    { weight: 1, arbitrary: fc.record({ act: fc.constant('release'), which: fc.nat(5) }) },
    {
      weight: 4,
      arbitrary: fc.record({ act: fc.constantFrom('collect', 'thin', 'sweep'), count: fc.integer({ min: 1, max: 6 }) }),
    },
  ),
  { maxLength: 80 },
);

test('VersionedMap shows every snapshot in use what it showed at first, however it is thinned, swept and collected', () => {
  fc.assert(
    fc.property(acts, (story) => {
      const map = new VersionedMap();
      const pinned: { readonly sequence: number; readonly seen: ReadonlyMap<string, number> }[] = [];
      const now = new Map<string, number>();
      let sequence = 0;
      const inUse = (): readonly number[] => pinned.map((snapshot) => snapshot.sequence);
      for (const step of story) {
        if (step.act === 'put') {
          sequence++;
          map.install(step.key, sequence, sequence, step.isDeletion ? undefined : storeValue(sequence));
          if (step.isDeletion) now.delete(step.key);
          else now.set(step.key, sequence);
        } else if (step.act === 'pin') pinned.push({ sequence, seen: new Map(now) });
        else if (step.act === 'release') pinned.splice(step.which, 1);
        else if (step.act === 'collect') map.collect(Math.min(sequence, ...inUse()), step.count);
        else if (step.act === 'thin') map.thin(inUse(), sequence, step.count);
        else map.sweep(inUse(), step.count);
        for (const { sequence: at, seen } of [...pinned, { sequence, seen: now }]) {
          const shown = map.chunk(everything, undefined, 10, false).flatMap((newest) => {
            const value = map.visible(newest, at)?.value;
            return value === undefined ? [] : [[newest.key, value] as const];
          });
          expect(new Map(shown)).toEqual(seen);
          for (const key of ['a', 'b', 'c']) expect(map.at(key, at)?.value).toBe(seen.get(key));
        }
      }
      // When nobody looks any more, nothing is left but the newest.
      while (map.collect(sequence, 10));
      while (map.sweep([], 10));
      while (map.sweep([], 10));
      expect({ keys: map.keys, versions: map.versions }).toEqual({ keys: now.size, versions: now.size });
    }),
    { numRuns: 1_000 },
  );
});

test('VersionedMap holds for one old snapshot no more than it can see', () => {
  const map = new VersionedMap();
  for (let key = 0; key < 10; key++) map.install(`k${key}`, 1, 1, storeValue(key));
  for (let sequence = 2; sequence <= 5_000; sequence++) {
    map.install(`k${sequence % 5}`, sequence, sequence, storeValue(sequence));
    map.thin([1], sequence, 100);
  }
  // Ten newest, and five that the snapshot sees otherwise.
  expect(map.versions).toBe(15);
  expect(map.at('k1', 1)?.value).toBe(1);
});
