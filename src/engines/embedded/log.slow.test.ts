import { expect, test } from 'vitest';
import { LimitExceededError } from '../../kv/errors.ts';
import { realWorld } from '../../kv/world.ts';
import { SimulatedDisk } from '../../testing/simulated-disk.ts';
import { entryBytesMax } from './log-format.ts';
import { Log } from './log.ts';

test('Log splits what waits into groups where one would be too long to write, and refuses an entry that is', async () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const groups: number[] = [];
  const lengths: number[] = [];
  const open = (): Promise<Log> =>
    Log.open({
      disk,
      world: realWorld,
      segmentBytes: Infinity,
      onEntry: (entry) => void lengths.push(entry.length),
      onDurable: () => undefined,
      onSync: ({ entries }) => void groups.push(entries),
    });
  const log = await open();
  log.append(new Uint8Array(entryBytesMax));
  log.append(new Uint8Array(1));
  log.append(new Uint8Array(2));
  await log.whenDurable(1);
  await log.whenDurable(3);
  expect(groups).toEqual([1, 2]);
  expect(() => log.append(new Uint8Array(entryBytesMax + 1))).toThrow(LimitExceededError);
  await log.close();
  await (await open()).close();
  expect(lengths).toEqual([entryBytesMax, 1, 2]);
});
