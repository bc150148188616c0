import type { Seeded } from '../check/seeded.ts';

/** What a power cut lets survive: none, all, the first few, the last few, or each by the toss of a coin; each as often. */
export function survivors<T>(all: readonly T[], random: Seeded): readonly T[] {
  const way = Math.floor(random.fraction() * 5);
  if (way === 0) return [];
  if (way === 1) return all;
  if (way === 2) return all.slice(0, Math.floor(random.fraction() * (all.length + 1)));
  if (way === 3) return all.slice(Math.floor(random.fraction() * (all.length + 1)));
  return all.filter(() => random.fraction() < 0.5);
}
