import assert from 'node:assert/strict';
import type { Isolation } from 'semel';
import type { OpenContender } from '../claim.ts';
import { randomIndexes, runWorkers } from '../workers.ts';
import { openLedger } from './deposits.ts';
import { live, openOperations, replay } from './peers/semel.ts';
import { loadedRecords } from './records.ts';

/** Operations that were executed long ago, chosen at random, are sent again. */
export function replays(isolation: Isolation, records = loadedRecords): OpenContender {
  return async (url) => {
    const ledger = await openLedger(url);
    const { table, store, loaded, operations } = await openOperations(url, isolation, live(records));
    const { identities } = loaded;
    const random = randomIndexes(1);
    return {
      async run(inFlight, durationMs) {
        const measured = await runWorkers(inFlight, durationMs, () => {
          const identity = identities[random(identities.length)];
          assert(identity !== undefined);
          return replay(operations, identity);
        });
        assert.equal(await ledger.total(), 0, 'nothing was executed');
        assert.equal(await table.count({ prefix: ['idempotency', 'record'] }), records, 'nothing was recorded');
        return measured;
      },
      async close() {
        await store.close();
        await table.close();
        await ledger.close();
      },
    };
  };
}
