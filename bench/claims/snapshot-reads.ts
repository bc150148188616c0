import type { Claim } from '../claim.ts';
import { lmdbGet, plainMapGet, semelGet, semelGetMany } from '../peers/readable.ts';
import { pointReads } from '../point-reads.ts';

export const claim: Claim = {
  name: 'snapshot-reads',
  title: 'Point reads on a snapshot',
  unit: 'reads/s',
  work: 'A snapshot reads 1,000 of 1,000,000 keys, in random order.',
  inFlight: [1],
  contenders: {
    Semel: pointReads(semelGet),
    'Semel, getMany': pointReads(semelGetMany),
    lmdb: pointReads(lmdbGet),
    'floor: plain Map': pointReads(plainMapGet),
  },
  expectations: [
    { subject: 'Semel', against: ['lmdb'], inFlight: [1], atLeast: 1 },
    { subject: 'Semel, getMany', against: ['lmdb'], inFlight: [1] },
    { subject: 'Semel', against: ['floor: plain Map'], inFlight: [1] },
    { subject: 'Semel, getMany', against: ['floor: plain Map'], inFlight: [1] },
  ],
  limitedBy: `Memory: a million keys do not fit the caches of the processor, so a read misses them in the hash map and again at the
version. The encoding of the key comes on top, and a promise a read, which \`getMany\` saves.`,
};
