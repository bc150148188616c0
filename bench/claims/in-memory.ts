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
  limitedBy: `One core: some six promises a transaction, where the optimistic floor makes three; the encoding of three keys; and the hash map, asked
at the read and at each write, for keys that were just encoded and so are hashed anew; with 65,536 keys that is mostly waiting for memory. Each value is a
version that lives until no snapshot needs it. What is fastest among the peers answers synchronously: it makes no promise, and its body can wait for nothing.`,
};
