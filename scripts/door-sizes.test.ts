import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { doorSizes, type DoorSize } from './door-sizes.ts';

const recorded: Record<string, DoorSize> = JSON.parse(
  readFileSync(join(import.meta.dirname, 'door-sizes.json'), 'utf8'),
);
const sizes = await doorSizes(join(import.meta.dirname, '..'));

/** A fix may cost a little without being explained. */
const tolerance = 0.05;

test('doorSizes finds each door as large as scripts/door-sizes.json has it, give or take 5 %', () => {
  const rows = [...new Set([...Object.keys(recorded), ...sizes.keys()])].map((door) => {
    const [before, now] = [recorded[door]?.bytes ?? 0, sizes.get(door)?.bytes ?? 0];
    return { door, before, now, strayed: Math.abs(now - before) > before * tolerance };
  });
  const table = rows.map(
    ({ door, before, now, strayed }) =>
      `${door.padEnd(20)} ${String(before).padStart(7)} ${String(now).padStart(7)} ${strayed ? ' <- strayed' : ''}`,
  );
  const advice = `gzipped bytes, recorded and now:\n${table.join('\n')}\nIf it is meant: npm run sizes, and commit`;
  expect(
    rows.filter(({ strayed }) => strayed).map(({ door }) => door),
    advice,
  ).toEqual([]);
});

test('doorSizes finds no package behind a door but those that scripts/door-sizes.json names', () => {
  const imports = (of: Iterable<readonly [string, DoorSize]>) =>
    Object.fromEntries([...of].map(([door, size]) => [door, size.imports]));
  expect(imports(sizes)).toEqual(imports(Object.entries(recorded)));
});
