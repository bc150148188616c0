import type { Claim } from '../claim.ts';
import { denoKvInMemory } from '../peers/deno-kv.ts';
import { optimisticMap, plainMap } from '../peers/floors.ts';
import { lmdbInMemory, lmdbInMemorySync } from '../peers/lmdb.ts';
import { semelCounters } from '../peers/semel.ts';
import { sqliteInMemory } from '../peers/sqlite.ts';
import { readModifyWrite } from '../read-modify-write.ts';

export const claim: Claim = {
  name: 'in-memory',
  title: 'Read, modify, write in memory',
  unit: 'transactions/s',
  work: 'A serializable transaction reads one of 32,768 counters and writes two values, in memory.',
  inFlight: [64, 1024],
  contenders: {
    Semel: readModifyWrite(semelCounters({ durable: false })),
    lmdb: readModifyWrite(lmdbInMemory),
    'lmdb, synchronous': readModifyWrite(lmdbInMemorySync),
    'better-sqlite3': readModifyWrite(sqliteInMemory),
    '@deno/kv': readModifyWrite(denoKvInMemory),
    'floor: optimistic Map': readModifyWrite(optimisticMap),
    'floor: plain Map': readModifyWrite(plainMap),
  },
  expectations: [
    {
      subject: 'Semel',
      against: ['lmdb', 'lmdb, synchronous', 'better-sqlite3', '@deno/kv'],
      inFlight: [64, 1024],
      atLeast: 1.2,
    },
    { subject: 'Semel', against: ['floor: optimistic Map'], inFlight: [64, 1024], atLeast: 0.6 },
    { subject: 'Semel', against: ['floor: plain Map'], inFlight: [64, 1024] },
  ],
  limitedBy: 'One core that runs JavaScript.',
};
