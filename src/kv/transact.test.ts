import { expect, test } from 'vitest';
import { openStore } from '../engines/embedded/embedded-store.ts';
import { realWorld } from './world.ts';

/** Transacts on a store in memory what collides at every attempt; answers the pauses that were asked for. */
async function pausesOf(random: () => number, attemptsMax: number): Promise<readonly number[]> {
  const pauses: number[] = [];
  const store = await openStore({
    world: {
      ...realWorld,
      random,
      after(delayMs, act) {
        // Of the timers that are set, only the pauses end at once.
        if (delayMs > 100) return () => undefined;
        pauses.push(delayMs);
        realWorld.defer(act);
        return () => undefined;
      },
    },
  });
  let runs = 0;
  const unlucky = store.transact(
    async (tx) => {
      const contended = ['contended', ++runs];
      await tx.get(contended);
      await store.transact((other) => other.set(contended, 1));
      tx.set(['k'], runs);
    },
    { attemptsMax },
  );
  await expect(unlucky).rejects.toMatchObject({ code: 'conflict' });
  expect(runs).toBe(attemptsMax);
  await store.close();
  return pauses;
}

test('transact pauses between attempts, up to a bound that doubles and then stays', async () => {
  const pauses = await pausesOf(() => 0.999, 10);
  expect(pauses.map(Math.round)).toEqual([1, 2, 4, 8, 16, 32, 64, 100, 100].filter((bound) => bound > 1));
});

test('transact takes the whole of the bound for its jitter: what is random is the pause itself', async () => {
  expect(await pausesOf(() => 0, 10)).toEqual([]);
  expect((await pausesOf(() => 0.5, 5)).map(Math.round)).toEqual([1, 2, 4].filter((pause) => pause >= 1));
});
