import { readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { expect, test } from 'vitest';
import type { Manifest } from './house.ts';

const repository = join(import.meta.dirname, '..');
const read = (path: string) => readFileSync(join(repository, path), 'utf8');
const manifest: Manifest = JSON.parse(read('package.json'));
const doors = Object.keys(manifest.exports)
  .filter((door) => !door.endsWith('.json'))
  .map((door) => posix.join(manifest.name, door));

test('README.md has a row for each door, with its peer and a page that speaks of it', () => {
  const rows = new Map(
    [...read('README.md').matchAll(/^\| `(semel[\w/]*)` \| [^|]+ \|([^|]*)\| \[(docs\/[^\]]+)\]/gm)].map(
      ([, door = '', needs = '', page = '']) => [door, { needs: needs.trim(), page }],
    ),
  );
  expect([...rows.keys()].toSorted()).toEqual(doors.toSorted());
  const silent = [...rows].filter(([door, { page }]) => !read(page).includes(`\`${door}\``));
  expect(silent).toEqual([]);
  const needed = [...rows.values()].flatMap(({ needs }) =>
    [...needs.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name),
  );
  expect([...new Set(needed)].toSorted()).toEqual(Object.keys(manifest.peerDependencies ?? {}).toSorted());
});

test('CHANGELOG.md names each door', () => {
  expect(doors.filter((door) => !read('CHANGELOG.md').includes(`\`${door}\``))).toEqual([]);
});
