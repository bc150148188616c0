import type { Claim } from '../../claim.ts';
import { deposits } from '../deposits.ts';
import { semel } from '../peers/semel.ts';

const inFlight = [8, 32];

export const claim: Claim = {
  name: 'live-records',
  title: 'Beside a million records',
  unit: 'operations/s',
  work: 'The same operation, at SERIALIZABLE, where a million live records are there already, and where a thousand are.',
  inFlight,
  contenders: {
    'beside 1,000,000': deposits(semel({ isolation: 'serializable', records: 1_000_000, forgets: true })),
    'beside 1,000': deposits(semel({ isolation: 'serializable', records: 1_000, forgets: true })),
  },
  expectations: [{ subject: 'beside 1,000,000', against: ['beside 1,000'], inFlight, atLeast: 1 / 1.3 }],
  limitedBy: `Keys and times of expiry grow with time, so that new entries come side by side in the index, however many there are.`,
};
