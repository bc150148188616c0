import { describe, expect, test } from 'vitest';
import { ManualWorld } from '../testing/manual-world.ts';
import { uuidV7Source } from './uuid-v7.ts';

/** The world of the example of RFC 9562, appendix A.6, whose bytes are all ones, or what is given. */
class FixedWorld extends ManualWorld {
  readonly #byte: number;

  constructor(byte = 0xff) {
    super(0x017f22e279b0);
    this.#byte = byte;
  }

  override randomBytes(count: number): Uint8Array {
    return new Uint8Array(count).fill(this.#byte);
  }
}

describe('uuidV7Source', () => {
  test('uuidV7Source lays out time, version, counter, variant and randomness as RFC 9562 has them', () => {
    expect(uuidV7Source(new FixedWorld(0xff))()).toBe('017f22e2-79b0-77ff-bfff-ffffffffffff');
    expect(uuidV7Source(new FixedWorld(0x00))()).toBe('017f22e2-79b0-7000-8000-000000000000');
  });

  test('uuidV7Source only grows: within a millisecond, over its end, and when the clock goes back', () => {
    const world = new FixedWorld();
    const next = uuidV7Source(world);
    const keys = Array.from({ length: 10_000 }, next);
    world.jump(-60_000);
    keys.push(...Array.from({ length: 10_000 }, next));
    world.jump(120_000);
    keys.push(next());
    expect(keys).toEqual([...keys].sort());
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys.at(-1)?.slice(0, 13)).toBe('017f22e3-6410');
  });

  test('uuidV7Source never repeats itself over two sources in one millisecond', () => {
    const world = new ManualWorld();
    const [one, other] = [uuidV7Source(world), uuidV7Source(world)];
    const keys = Array.from({ length: 1_000 }, () => [one(), other()]).flat();
    expect(new Set(keys).size).toBe(2_000);
  });
});
