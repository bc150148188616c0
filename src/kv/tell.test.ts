import { expect, test } from 'vitest';
import { turn } from '../testing/manual-world.ts';
import { tell } from './tell.ts';

test('tell drops what an observer throws, and what it rejects with', async () => {
  const unhandled: unknown[] = [];
  const listen = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', listen);
  try {
    const told: string[] = [];
    tell((event: string) => {
      told.push(event);
      throw new Error('at once');
    }, 'one');
    tell(async (event: string) => {
      await Promise.resolve();
      told.push(event);
      throw new Error('later');
    }, 'two');
    tell(undefined, 'nobody');
    expect(told).toEqual(['one']);
    await turn();
    expect(told).toEqual(['one', 'two']);
    expect(unhandled).toEqual([]);
  } finally {
    process.off('unhandledRejection', listen);
  }
});
