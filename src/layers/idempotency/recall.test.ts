import { expect, test } from 'vitest';
import { openStore } from 'semel/embedded';
import { cancel, claim, complete, fingerprint, recall, retentionPolicy, type Identity } from 'semel/idempotency';
import { ManualWorld } from '../../testing/manual-world.ts';

test.each(['refuse', 'execute'] as const)(
  'recall answers as claim does, where the policy says %s',
  async (onExpired) => {
    const world = new ManualWorld();
    const store = await openStore({ world });
    const policy = retentionPolicy({ retentionMs: 1_000, tombstoneMs: 500, onExpired });
    const bothAnswer = async (identity: Identity, state: string): Promise<void> => {
      const recalled = await store.read((tx) => recall(tx, identity, { policy }));
      const claimed = await store.transact((tx) => claim(tx, identity, { policy }));
      expect(claimed.state).toBe(state);
      expect(recalled).toEqual(state === 'absent' ? undefined : claimed);
    };
    await bothAnswer(identityOf('k'), 'absent');
    await store.transact(async (tx) => {
      const answer = await claim(tx, identityOf('k'), { policy });
      if (answer.state === 'absent') complete(tx, answer.claim, { result: 'done', elapsedMs: 0 });
    });
    await store.transact((tx) => cancel(tx, identityOf('burnt'), { policy }));
    await bothAnswer(identityOf('k'), 'complete');
    await bothAnswer(identityOf('k', 'other'), 'mismatch');
    await bothAnswer(identityOf('burnt'), 'cancelled');
    await world.advance(1_000);
    await bothAnswer(identityOf('k'), onExpired === 'execute' ? 'absent' : 'expired');
    await bothAnswer(identityOf('k', 'other'), 'mismatch');
    await world.advance(500);
    await bothAnswer(identityOf('k'), 'absent');
    await bothAnswer(identityOf('burnt'), 'absent');
    await store.close();
  },
);

function identityOf(key: string, payload = 'same'): Identity {
  const parts = { method: 'POST', path: '/', query: [], mediaType: undefined, body: Buffer.from(payload) };
  return { scope: 'acme', key, fingerprint: fingerprint(parts) };
}
