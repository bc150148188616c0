import type { Claim } from '../../claim.ts';
import { deposits } from '../deposits.ts';
import { bare } from '../peers/bare.ts';
import { semel } from '../peers/semel.ts';

const inFlight = [8, 32];

export const claim: Claim = {
  name: 'one-update',
  title: 'An operation with one UPDATE',
  unit: 'operations/s',
  work: `One UPDATE of one of 10,000 rows. Semel does it as an idempotent operation with a new key, beside 100,000 records that are there already; the
others do it in a transaction that promises nothing of a second request. BEGIN, UPDATE and COMMIT are three round trips; the floor sends all three at once.`,
  inFlight,
  contenders: {
    'Semel, read committed': deposits(semel({ isolation: 'read-committed' })),
    'bare, read committed': deposits(bare({ isolation: 'READ COMMITTED' })),
    'floor: bare, pipelined, read committed': deposits(bare({ isolation: 'READ COMMITTED', pipelined: true })),
    'Semel, serializable': deposits(semel({ isolation: 'serializable' })),
    'bare, serializable': deposits(bare({ isolation: 'SERIALIZABLE' })),
    'floor: bare, pipelined, serializable': deposits(bare({ isolation: 'SERIALIZABLE', pipelined: true })),
  },
  expectations: ['read committed', 'serializable'].flatMap((isolation) => [
    { subject: `Semel, ${isolation}`, against: [`bare, ${isolation}`], inFlight, atLeast: 0.6 },
    { subject: `Semel, ${isolation}`, against: [`floor: bare, pipelined, ${isolation}`], inFlight },
  ]),
  limitedBy: `The processors, which server and client share, not the disk. An operation sends three times as many statements, each of them written to the
socket, parsed, planned and answered by itself: they take about three times the processor time of the bare transaction on the server, and five times in the
client, of which more than half is writing to the socket.`,
};
