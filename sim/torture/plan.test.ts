import { expect, test } from 'vitest';
import { killClasses } from './kill-point.ts';
import { classOfRound, planRound } from './plan.ts';

const seeds = [0, 1, 2, 3, 4_294_967_295];

test('planRound is a function of seed, round and turn', () => {
  for (const seed of seeds) expect(planRound(seed, 7, 1)).toEqual(planRound(seed, 7, 1));
  expect(planRound(1, 7, 1)).not.toEqual(planRound(2, 7, 1));
  expect(planRound(1, 7, 1).clients).not.toEqual(planRound(1, 7, 2).clients);
});

test('classOfRound has each class once in a block of rounds, in an order of its own', () => {
  const blocks = seeds.flatMap((seed) => [0, 1, 2].map((block) => blockOf(seed, block)));
  for (const block of blocks) expect(block.toSorted()).toEqual([...killClasses].sort());
  expect(new Set(blocks.map(String)).size).toBe(blocks.length);
});

test('planRound lets several clients send one operation at once', () => {
  for (const seed of seeds) {
    const { clients } = planRound(seed, 1, 1);
    const sent = clients.flat();
    expect(sent.length).toBeGreaterThan(new Set(sent).size);
  }
});

test('planRound gives each operation a name that no other round and no other turn has', () => {
  const rounds = [planRound(1, 1, 1), planRound(1, 1, 2), planRound(1, 11, 1), planRound(1, 2, 1)];
  const names = rounds.flatMap(({ clients }) => [...new Set(clients.flat())].map(({ id }) => id));
  expect(new Set(names).size).toBe(names.length);
});

test('planRound has more than 200 requests in flight in a backlog', () => {
  const round = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].find((candidate) => classOfRound(1, candidate) === 'backlog') ?? 0;
  const { clients, inFlightMin } = planRound(1, round, 1);
  expect(inFlightMin).toBe(200);
  expect(clients.length).toBeGreaterThan(inFlightMin);
});

function blockOf(seed: number, block: number): string[] {
  return killClasses.map((_, index) => classOfRound(seed, block * killClasses.length + index + 1));
}
