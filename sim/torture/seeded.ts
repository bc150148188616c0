import { Seeded as SeededFractions } from '../../src/check/seeded.ts';

/** Randomness that is a function of its seed, so that a plan can be made again. */
export class Seeded extends SeededFractions {
  /** A whole number, both ends included. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.fraction() * (max - min + 1));
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.integer(0, items.length - 1)];
    if (item === undefined) throw new Error('assertion failed: something is picked out of something');
    return item;
  }

  shuffled<T>(items: readonly T[]): T[] {
    const keyed = items.map((item) => ({ item, place: this.fraction() }));
    return keyed.sort((one, other) => one.place - other.place).map(({ item }) => item);
  }
}
