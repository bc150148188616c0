import type { Claim } from '../../claim.ts';
import { depositsBesideExpiry } from '../expiry.ts';

const inFlight = [8, 32];

export const claim: Claim = {
  name: 'expiry',
  title: 'Beside the reaper',
  unit: 'operations/s',
  work: 'The same operation, at SERIALIZABLE, beside 100,000 expired records, with the reaper at work upon them in the same process, and without it.',
  inFlight,
  contenders: {
    'with the reaper': depositsBesideExpiry({ isReaping: true }),
    without: depositsBesideExpiry({ isReaping: false }),
  },
  expectations: [{ subject: 'with the reaper', against: ['without'], inFlight, atLeast: 1 / 1.1 }],
  limitedBy: `The reaper is one client more, which works through its batches without a pause while anything is due; the fewer others there are, the larger its share.`,
};
