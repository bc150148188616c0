import { openStore } from 'semel/embedded';
import { expect, test } from 'vitest';

test('one key that is written again and again keeps behind a long reader what others have seen of it only until it is much', async () => {
  const store = await openStore();
  const write = (value: number): Promise<void> => store.transact((tx) => tx.set(['k'], value));
  await write(0);
  const held = Promise.withResolvers<void>();
  const long = store.read(() => held.promise);
  for (let round = 0; round < 20; round++) {
    const short = Promise.withResolvers<void>();
    const readers: Promise<void>[] = [];
    for (let reader = 0; reader < 2_000; reader++) {
      await write(reader);
      readers.push(store.read(() => short.promise));
    }
    // So many that what is held back is gone through while the short readers see some of it.
    for (let more = 0; more < 17_000; more++) await write(more);
    short.resolve();
    await Promise.all(readers);
  }
  // Of 380,000 versions. Each of 40,000 readers had one set aside, and only one reader is left.
  expect(store.status().versions).toBeLessThan(38_000);
  held.resolve();
  await long;
  await store.close();
});
