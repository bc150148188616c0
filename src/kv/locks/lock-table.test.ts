import { expect, test } from 'vitest';
import { limits } from '../limits.ts';
import { realWorld } from '../world.ts';
import { encodeKey } from '../tuple.ts';
import { turn } from '../../testing/manual-world.ts';
import { LockOwner } from './lock-claim.ts';
import { LockTable } from './lock-table.ts';
import { keyTarget } from './lock-target.ts';

/** Counts the claims that a search looks at: a bound on work, where a bound on time would depend on the machine. */
function countedOwners(count: number): { owners: readonly LockOwner[]; looks: () => number } {
  let looks = 0;
  const owners = Array.from({ length: count }, (_, age) => {
    const owner = new LockOwner(`owner ${age}`, age, () => undefined);
    const { holdsUp } = LockOwner.prototype;
    owner.holdsUp = (waiting) => {
      looks++;
      return holdsUp.call(owner, waiting);
    };
    return owner;
  });
  return { owners, looks: () => looks };
}

const key = (name: string | number) => [keyTarget(encodeKey([name]))];

test('LockTable serves a long queue whose members each hold a lock of their own, without a walk over all pairs', async () => {
  const table = new LockTable(realWorld);
  const count = 2_000;
  const { owners, looks } = countedOwners(count);
  const served: number[] = [];
  const all = owners.map(async (owner) => {
    await table.acquire(owner, key(owner.age));
    await table.acquire(owner, key('hot'));
    served.push(owner.age);
    table.release(owner);
  });
  await Promise.all(all);
  expect(served).toEqual(owners.map(({ age }) => age));
  expect(looks()).toBeLessThan(count * 10);
});

test('LockTable finds the cycle at the end of a long chain of waits', async () => {
  const table = new LockTable(realWorld);
  const count = 1_000;
  const owners = Array.from({ length: count }, (_, age) => new LockOwner(`owner ${age}`, age, () => undefined));
  for (const owner of owners) await table.acquire(owner, key(owner.age));
  const waits = owners.map((owner) =>
    table.acquire(owner, key((owner.age + 1) % count)).then(
      () => 'granted',
      (error: unknown) => error,
    ),
  );
  await turn();
  const victim = owners.at(-1);
  expect(await waits.at(-1)).toMatchObject({ code: 'deadlock', cycle: { length: count } });
  // Each that ends grants the lock that the one before it waits for.
  for (const owner of [victim, ...owners.slice(0, -1).reverse()]) if (owner !== undefined) table.release(owner);
  expect(await Promise.all(waits.slice(0, -1))).toEqual(owners.slice(0, -1).map(() => 'granted'));
});

test('LockTable refuses as a whole what there is no room for: nothing of it waits, and nobody is told of it later', async () => {
  const table = new LockTable(realWorld);
  const [holder, greedy] = [new LockOwner('holder', 1, () => undefined), new LockOwner('greedy', 2, () => undefined)];
  await table.acquire(holder, [...key('x'), ...key('y')]);
  await table.acquire(greedy, Array.from({ length: limits.locksMax - 1 }, (_, index) => key(index)).flat());
  await expect(table.acquire(greedy, [...key('x'), ...key('y')])).rejects.toMatchObject({ limit: 'locksMax' });
  table.release(greedy);
  table.release(holder);
  await turn();
  expect(table.isEmpty).toBe(true);
});
