import { Seeded as SeededFractions } from '../src/check/seeded.ts';

/** Randomness that is a function of its seed, so that a plan can be made again. */
export class Seeded extends SeededFractions {
  /** A stream of its own for each purpose, so that taking one away changes nothing of the others. */
  static of(...parts: readonly (number | string)[]): Seeded {
    let hash = 0x811c_9dc5;
    for (const char of parts.join('/')) hash = Math.imul(hash ^ char.charCodeAt(0), 0x0100_0193);
    return new Seeded(hash);
  }

  /** A whole number, both ends included. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.fraction() * (max - min + 1));
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
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
