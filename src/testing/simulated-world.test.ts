import { expect, test } from 'vitest';
import { openStore } from '../engines/embedded/embedded.ts';
import { SimulatedDisk } from './simulated-disk.ts';
import { SimulatedWorld, StuckError } from './simulated-world.ts';

const seeds = Array.from({ length: 50 }, (_, seed) => seed);

test('SimulatedWorld runs deferred events in their order, and timers that are due before, between or after them', async () => {
  const orders = new Set<string>();
  for (const seed of seeds) {
    const world = new SimulatedWorld({ seed });
    const order: string[] = [];
    world.after(0, () => order.push('timer'));
    for (const name of ['first', 'second']) world.defer(() => order.push(name));
    while (await world.step());
    orders.add(order.join(' '));
  }
  expect([...orders].sort()).toEqual(['first second timer', 'first timer second', 'timer first second']);
});

test('SimulatedWorld.step runs all promises that follow from an event before it ends', async () => {
  const world = new SimulatedWorld({ seed: 1 });
  let turns = 0;
  world.defer(() => {
    void (async () => {
      for (; turns < 1_000; turns++) await Promise.resolve();
    })();
  });
  await world.step();
  expect(turns).toBe(1_000);
});

test('SimulatedWorld.after never calls too early, and not at all what was cancelled', async () => {
  for (const seed of seeds) {
    const world = new SimulatedWorld({ seed });
    const called: number[] = [];
    for (const delayMs of [5, 1, 3]) {
      world.after(delayMs, () => {
        expect(world.monotonicMs()).toBeGreaterThanOrEqual(delayMs);
        called.push(delayMs);
      });
    }
    world.after(2, () => expect.unreachable())();
    while (await world.step());
    expect(called).toEqual([1, 3, 5]);
    expect(world.steps).toBe(3);
  }
});

test('SimulatedWorld.jump sets the wall clock alone, either way', () => {
  const world = new SimulatedWorld({ seed: 1, startMs: 1_000_000 });
  const before = world.monotonicMs();
  world.jump(-500);
  expect(world.now()).toBe(999_500);
  world.jump(1_000);
  expect(world.now()).toBe(1_000_500);
  expect(world.monotonicMs()).toBe(before);
});

test('SimulatedWorld.run says so when work waits for what will never happen', async () => {
  const world = new SimulatedWorld({ seed: 1 });
  await expect(world.run(new Promise(() => undefined))).rejects.toThrow(StuckError);
  const restless = (): void => world.defer(restless);
  restless();
  await expect(world.run(new Promise(() => undefined), { stepsMax: 10 })).rejects.toThrow('within 10 steps');
  expect(await world.run(world.pause(60_000).then(() => 'done'))).toBe('done');
});

test('SimulatedWorld.forget drops whatever waits: its process is dead', async () => {
  const world = new SimulatedWorld({ seed: 1 });
  world.defer(() => expect.unreachable());
  world.after(1, () => expect.unreachable());
  world.forget();
  expect(await world.step()).toBe(false);
});

test('SimulatedWorld makes of equal seeds equal runs, and of others others', async () => {
  const run = async (seed: number): Promise<string> => {
    const world = new SimulatedWorld({ seed });
    const disk = new SimulatedDisk({ seed, pause: () => world.pause(world.random()) });
    const store = await world.run(openStore({ disk, world }));
    const writes = Array.from({ length: 20 }, (_, n) => store.transact((tx) => tx.set([n % 3], n)));
    await world.run(Promise.all(writes));
    return `${world.steps} ${world.digest} ${world.now()} ${Buffer.from(await world.run(disk.read('log-000000000001'))).toString('hex')}`;
  };
  expect(await run(1)).toBe(await run(1));
  expect(await run(1)).not.toBe(await run(2));
});
