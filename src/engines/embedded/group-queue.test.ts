import { expect, test } from 'vitest';
import { GroupQueue } from './group-queue.ts';

test('GroupQueue makes no group so long that it would keep the thread, and knows how much waits', () => {
  const queue = new GroupQueue();
  for (let index = 1; index <= 10; index++) queue.push(new Uint8Array(1_000_000), index);
  queue.push(new Uint8Array(20_000_000), 11);
  expect(queue.bytes).toBe(10 * 1_000_004 + 20_000_004);
  const groups: number[] = [];
  for (let group = queue.shift(); group !== undefined; group = queue.shift()) groups.push(group.entries.length);
  expect(groups).toEqual([4, 4, 2, 1]);
  expect(queue.bytes).toBe(0);
});
