import { openStore } from 'semel/embedded';
import { expect, test } from 'vitest';

test.each(['serializable', 'snapshot'] as const)(
  'scan (%s) shows what its snapshot shows, also of a key that is overwritten while it rests on a write of its own',
  async (isolation) => {
    const store = await openStore();
    await store.transact((tx) => tx.set(['b'], 'old'));
    const reading = store.transact(
      async (tx) => {
        tx.set(['a'], 'own');
        const seen: unknown[] = [];
        for await (const { key, value } of tx.scan({})) {
          seen.push(value);
          if (key[0] === 'a') await store.transact((other) => other.set(['b'], 'new'));
        }
        // Refused, so that what was seen is told and not seen anew.
        throw new Error(`saw ${seen.join(' and ')}`);
      },
      { isolation },
    );
    await expect(reading).rejects.toThrow('saw own and old');
    await store.close();
  },
);
