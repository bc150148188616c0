import { describe, expect, test } from 'vitest';
import { SkippingEnvironment } from '../../testing/skipping-environment.harness.ts';
import { CannotRunError } from '../check-error.ts';
import { EffectMeter, type CountSoFar } from './effect-meter.ts';
import { defaultLimits } from '../limits.ts';
import { Pace } from '../pace.ts';

describe('EffectMeter', () => {
  test('waits out a request whose end nobody waited for, and counts what it does until then', async () => {
    const { meter, world } = measure();
    const acted = await meter.during(async () => {
      meter.disturb();
      world.riseAt(1_500);
      meter.expectEffectsFor(2_000);
    });
    expect(acted).toBe(1);
  });

  test('refuses to go on where a count moved after it had rested, and nothing was sent', async () => {
    const { meter, world } = measure();
    expect(await meter.during(async () => meter.disturb())).toBe(0);
    world.riseAt(0);
    await expect(meter.during(async () => undefined)).rejects.toThrow(
      'went from 0 to 1 after it had rested for 200 ms',
    );
    // After a failure that is no news.
    meter.disturb();
    expect(await meter.during(async () => undefined)).toBe(0);
  });

  test('tells by how much the count rises while nothing is sent', async () => {
    const { meter, world } = measure();
    expect(await meter.riseWhileIdle()).toBe(0);
    world.riseAt(300);
    expect(await meter.riseWhileIdle()).toBe(1);
  });

  test('tells the work how far the count has risen, and waits for what should have come', async () => {
    const { meter, world } = measure();
    const seen: number[] = [];
    const acted = await meter.during(async (soFar) => {
      world.riseAt(0);
      seen.push(await soFar());
      world.riseAt(3_000);
      seen.push(await soFar(), await soFar(2), await soFar(3));
    });
    expect([...seen, acted]).toEqual([1, 1, 2, 2, 2]);
  });

  test('reads again a count that is missing for a moment, but not one that never was there', async () => {
    const { meter, world } = measure();
    const lost = async (soFar: CountSoFar): Promise<void> => {
      world.riseAt(0);
      world.isDownForReads = 3;
      expect(await soFar()).toBe(1);
    };
    expect(await meter.during(lost)).toBe(1);
    const other = measure();
    other.world.isDownForReads = 1;
    await expect(other.meter.during(async () => undefined)).rejects.toMatchObject({ code: 'CANNOT_RUN' });
  });

  test('says that there is no count where there is none just now', async () => {
    const { meter, world } = measure();
    expect(await meter.isReadable()).toBe(true);
    world.isDownForReads = 1;
    expect(await meter.isReadable()).toBe(false);
  });
});

/** A count in a world whose time passes while somebody waits. */
function measure() {
  const environment = new SkippingEnvironment();
  const { signal } = new AbortController();
  const risesAtMs: number[] = [];
  const world = {
    isDownForReads: 0,
    riseAt: (afterMs: number) => risesAtMs.push(environment.monotonicMs() + afterMs),
  };
  const effect = {
    async count() {
      if (world.isDownForReads > 0) {
        world.isDownForReads -= 1;
        throw new CannotRunError('the count cannot be read');
      }
      return risesAtMs.filter((atMs) => atMs <= environment.monotonicMs()).length;
    },
  };
  const pace = new Pace(1e6, environment, signal);
  return { world, meter: new EffectMeter(effect, defaultLimits, pace, environment, signal) };
}
