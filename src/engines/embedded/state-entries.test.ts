import { expect, test } from 'vitest';
import { storeValue } from '../../kv/value.ts';
import { decodeEntry } from './commit-codec.ts';
import { stateEntries } from './state-entries.ts';
import { VersionedMap } from './versioned-map.ts';

const facts = {
  incarnation: { kind: 'incarnation', id: 'a', sinceMs: 1, restoredFrom: undefined },
  mark: { kind: 'mark', versionCeiling: 1, now: 1 },
} as const;

test('stateEntries pauses over keys that its snapshot does not see, however many they are', () => {
  const map = new VersionedMap();
  map.install('seen', 1, 1, storeValue(1));
  for (let n = 0; n < 2_000; n++) map.install(`k${n}`, 2, 2, storeValue(n));
  const slices = [...stateEntries(map, 1, facts)];
  // So many keys are gone through in a slice, and no more.
  expect(slices.length).toBeGreaterThanOrEqual(2 + 2_000 / 256);
  const portions = slices.flatMap((slice) => (slice === undefined ? [] : [decodeEntry(slice)]));
  expect(portions.filter(({ kind }) => kind === 'portion')).toEqual([
    { kind: 'portion', entries: [{ key: 'seen', version: 1, stored: { value: 1, hasBytes: false } }] },
  ]);
});

test('stateEntries cuts a slice where it has become long, whatever the number of its keys', () => {
  const map = new VersionedMap();
  for (let n = 0; n < 100; n++) map.install(`k${n}`, 1, 1, storeValue('x'.repeat(10_000)));
  const slices = [...stateEntries(map, 1, facts)];
  for (const slice of slices) expect(slice?.length ?? 0).toBeLessThan(65_536 + 10_100);
  expect(slices.length).toBeGreaterThan(10);
});
