import type { Claim } from '../claim.ts';
import { denoKvDurable } from '../peers/deno-kv.ts';
import { appendAndSync } from '../peers/floors.ts';
import { lmdbDurable } from '../peers/lmdb.ts';
import { semelCounters } from '../peers/semel.ts';
import { sqliteBatched, sqliteDurable } from '../peers/sqlite.ts';
import { readModifyWrite } from '../read-modify-write.ts';

export const claim: Claim = {
  name: 'durable',
  title: 'Read, modify, write on disk',
  unit: 'transactions/s',
  work: 'The same transaction, acknowledged when it is synced to the disk.',
  inFlight: [1, 64, 256],
  contenders: {
    Semel: readModifyWrite(semelCounters({ durable: true })),
    lmdb: readModifyWrite(lmdbDurable),
    'better-sqlite3': readModifyWrite(sqliteDurable),
    'better-sqlite3, batched by hand': readModifyWrite(sqliteBatched),
    '@deno/kv': readModifyWrite(denoKvDurable),
    'floor: append and sync': readModifyWrite(appendAndSync),
  },
  expectations: [
    {
      subject: 'Semel',
      against: ['lmdb', 'better-sqlite3', 'better-sqlite3, batched by hand', '@deno/kv'],
      inFlight: [64, 256],
      atLeast: 1.5,
    },
    { subject: 'Semel', against: ['floor: append and sync'], inFlight: [1], atLeast: 0.8 },
    { subject: 'Semel', against: ['floor: append and sync'], inFlight: [64, 256] },
  ],
  limitedBy: `The disk while few are in flight: one sync at a time, which carries whoever came meanwhile and, where their work takes well less time than a
sync, those that the last one woke. With more in flight the group grows, and the work of one core a transaction becomes the limit, as in memory, with the
encoding of the entry on top.`,
};
