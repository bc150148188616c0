import type { Claim } from '../../claim.ts';
import { deposits } from '../deposits.ts';
import { semel } from '../peers/semel.ts';
import { replays } from '../replays.ts';

const inFlight = [8, 32];

export const claim: Claim = {
  name: 'replay',
  title: 'A replay',
  unit: 'operations/s',
  work: 'An operation that was executed before, one of 100,000, against one that has to be executed, at SERIALIZABLE.',
  inFlight,
  contenders: { replay: replays('serializable'), operation: deposits(semel({ isolation: 'serializable' })) },
  expectations: [{ subject: 'replay', against: ['operation'], inFlight, atLeast: 3 }],
  limitedBy: `Statements again: the record is found by the first of them, but the transaction and its lock are under way by then, so that an operation which is
new needs no further round trip, and are taken back.`,
};
