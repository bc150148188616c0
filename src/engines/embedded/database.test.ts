import { openStore } from 'semel/embedded';
import { expect, test } from 'vitest';
import { realWorld } from '../../kv/world.ts';

// Where a program does nothing but transact in memory, its turn never ends, and what was deferred never comes.
test('Database collects behind a long reader even where nothing that is deferred ever runs', async () => {
  const store = await openStore({ world: { ...realWorld, defer: () => undefined } });
  const held = Promise.withResolvers<void>();
  await store.transact((tx) => tx.set(['k'], 0));
  const reader = store.read(() => held.promise);
  for (let value = 1; value <= 3_000; value++) await store.transact((tx) => tx.set(['k'], value));
  expect(store.status().versions).toBe(3_001);
  held.resolve();
  await reader;
  for (let value = 1; value <= 100; value++) await store.transact((tx) => tx.set(['k'], value));
  expect(store.status().versions).toBe(1);
  await store.close();
});

test('Database finds a conflict on a key whose tombstone was read, and collected before the key came back', async () => {
  const store = await openStore();
  const held = Promise.withResolvers<void>();
  await store.transact((tx) => tx.set(['k'], 1));
  const reader = store.read(() => held.promise);
  await store.transact((tx) => tx.delete(['k']));
  const seen: unknown[] = [];
  await store.transact(async (tx) => {
    seen.push(await tx.get(['k']));
    tx.set(['copy'], seen.length);
    if (seen.length > 1) return;
    held.resolve();
    await reader;
    expect(store.status()).toMatchObject({ keys: 0, versions: 0 });
    await store.transact((other) => other.set(['k'], 2));
  });
  expect(seen).toEqual([undefined, 2]);
  await store.close();
});
