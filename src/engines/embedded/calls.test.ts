import { ManualWorld, SimulatedDisk } from 'semel/testing';
import { openStore } from 'semel/embedded';
import { expect, test } from 'vitest';
import { turn } from '../../testing/manual-world.ts';

const fenced = { code: 'store-closed', effect: 'did-not-happen' };

test('close ends the transaction whose body goes on when its patience ends: it can neither write nor wait any more', async () => {
  const world = new ManualWorld();
  const store = await openStore({ disk: new SimulatedDisk({ seed: 1 }), world });
  const held = Promise.withResolvers<void>();
  const later: unknown[] = [];
  const running = store.transact(async (tx) => {
    tx.set(['k'], 1);
    await held.promise;
    for (const use of [async () => tx.set(['k'], 2), async () => tx.get(['k']), async () => tx.lock(['k'])]) {
      later.push(await use().catch((error: unknown) => error));
    }
  });
  const ending = expect(running).rejects.toMatchObject(fenced);
  const closed = store.close({ timeoutMs: 1_000 });
  await world.advance(1_000);
  await Promise.all([closed, ending]);
  held.resolve();
  await turn();
  expect(later).toMatchObject(Array.from({ length: 3 }, () => ({ code: 'transaction-closed' })));
});

/** Its randomness is not 0: a transaction that conflicted rests before it begins anew. */
class JitteryWorld extends ManualWorld {
  override random(): number {
    return 0.9;
  }
}

test('close lets no transaction begin anew that rested between two attempts when its patience ended', async () => {
  const world = new JitteryWorld();
  const store = await openStore({ disk: new SimulatedDisk({ seed: 1 }), world });
  let attempts = 0;
  const running = store.transact(async (tx) => {
    attempts += 1;
    const key = ['k', attempts];
    await tx.get(key);
    tx.set(['copy'], attempts);
    await store.transact((other) => other.set(key, 1));
  });
  const ending = expect(running).rejects.toMatchObject(fenced);
  while (world.timers === 0) await turn();
  const resting = attempts;
  await store.close({ signal: AbortSignal.abort() });
  await Promise.all([ending, world.advance(60_000)]);
  expect(attempts).toBe(resting);
});
