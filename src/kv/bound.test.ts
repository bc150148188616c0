import { getEventListeners } from 'node:events';
import { expect, test } from 'vitest';
import { ManualWorld } from '../testing/manual-world.ts';
import { Bound } from './bound.ts';

test('Bound leaves nothing on a signal that lives on, nor a timer', () => {
  const world = new ManualWorld();
  const { signal } = new AbortController();
  const bound = new Bound(world, { signal, timeoutMs: 1_000 });
  expect([getEventListeners(signal, 'abort').length, world.timers]).toEqual([1, 1]);
  bound.close();
  expect([getEventListeners(signal, 'abort').length, world.timers]).toEqual([0, 0]);
});

test('Bound tells which came first, the end of the time or the signal', async () => {
  const world = new ManualWorld();
  const controller = new AbortController();
  const bound = new Bound(world, { signal: controller.signal, timeoutMs: 1_000 });
  const raced = expect(bound.race(new Promise(() => undefined))).rejects.toMatchObject({ code: 'deadline-exceeded' });
  await world.advance(1_000);
  controller.abort();
  await raced;
  expect(bound.fault).toMatchObject({ code: 'deadline-exceeded', timeoutMs: 1_000 });
});

test('Bound.race refuses whatever comes after its end, and whoever fails then fails unheard', async () => {
  const controller = new AbortController();
  const bound = new Bound(new ManualWorld(), { signal: controller.signal });
  expect(await bound.race('in time')).toBe('in time');
  controller.abort();
  const late = ['done at once', Promise.resolve('done'), Promise.reject(new Error('failed'))];
  for (const work of late) await expect(bound.race(work)).rejects.toMatchObject({ code: 'aborted' });
});
