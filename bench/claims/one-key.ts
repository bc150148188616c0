import type { Claim } from '../claim.ts';
import { appendAndSync } from '../peers/floors.ts';
import { semelCounters } from '../peers/semel.ts';
import { readModifyWrite } from '../read-modify-write.ts';

export const claim: Claim = {
  name: 'one-key',
  title: 'The key that everybody wants',
  unit: 'transactions/s',
  work: 'The same durable transaction, all of those in flight on one counter.',
  inFlight: [64],
  contenders: {
    'one key, locked first': readModifyWrite(semelCounters({ durable: true, lock: true }), 1),
    'one key': readModifyWrite(semelCounters({ durable: true }), 1),
    'many keys': readModifyWrite(semelCounters({ durable: true })),
    'floor: append and sync': readModifyWrite(appendAndSync, 1),
  },
  expectations: [
    { subject: 'one key, locked first', against: ['many keys'], inFlight: [64], atLeast: 0.8 },
    { subject: 'one key', against: ['many keys'], inFlight: [64] },
    { subject: 'one key, locked first', against: ['floor: append and sync'], inFlight: [64] },
  ],
  limitedBy: `What queueing costs one core: each transaction that waits makes a claim, a promise and a timer for its patience, and wakes
behind the one before it. The syncs are those of many keys, since a lock is let go at the commit in memory and not at the sync. Without the
lock most transactions collide once, then queue, and so run twice.`,
};
