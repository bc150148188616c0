import assert from 'node:assert/strict';
import { uuidV7Source } from '../../src/client/uuid-v7.ts';
import { realEnvironment } from '../../src/client/environment.ts';
import { defaultRetentionMs } from 'semel/idempotency';
import { type ReaperEvent, startReaper } from 'semel/workers';
import type { OpenContender } from '../claim.ts';
import { randomIndexes, runWorkers } from '../workers.ts';
import { accounts, openLedger } from './deposits.ts';
import { deposit, openOperations } from './peers/semel.ts';
import { loadedRecords, sinceLoaded } from './records.ts';

const hourMs = 3_600_000;

/** Deposits beside records all of which have expired, while the reaper is at work upon them, or while it is not. */
export function depositsBesideExpiry({ isReaping }: { readonly isReaping: boolean }): OpenContender {
  return async (url) => {
    const ledger = await openLedger(url);
    const expired = {
      count: loadedRecords,
      agesMs: [defaultRetentionMs + 9 * hourMs, defaultRetentionMs + hourMs],
    } as const;
    const { table, store, loaded, operations } = await openOperations(url, 'serializable', expired);
    const nextKey = uuidV7Source(realEnvironment);
    const random = randomIndexes(1);
    const isDue = { prefix: ['idempotency', 'due'], end: ['idempotency', 'due', loaded.dueMax + 1] };
    const made = sinceLoaded(loaded).records;
    let total = 0;
    let left = loadedRecords;
    return {
      async run(inFlight, durationMs) {
        let reaped = 0;
        const failures: unknown[] = [];
        const onEvent = (event: ReaperEvent): void => {
          if (event.type === 'reaped') reaped += event.expired;
          else failures.push(event.error);
        };
        const reaper = isReaping ? startReaper(store, { onEvent }) : undefined;
        const measured = await runWorkers(inFlight, durationMs, () => deposit(operations, nextKey(), random(accounts)));
        await reaper?.stop();
        total += measured.operations;
        left -= reaped;
        assert.deepEqual(failures, [], 'no batch failed');
        assert.equal(await ledger.total(), total, 'each deposit was executed, once');
        assert.equal(await table.count(made), total, 'each deposit has a record');
        assert.equal(await table.count(isDue), left, 'what was reaped is not due any more, and the rest is');
        assert.equal(reaped > 0 && left > 0, isReaping, 'the reaper had work all the time');
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
