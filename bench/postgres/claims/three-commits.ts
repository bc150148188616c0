import type { Claim } from '../../claim.ts';
import { deposits } from '../deposits.ts';
import { semel } from '../peers/semel.ts';
import { threeCommits } from '../peers/three-commits.ts';

const inFlight = [8, 32];

export const claim: Claim = {
  name: 'three-commits',
  title: 'One commit instead of three',
  unit: 'operations/s',
  work: `The same operation, at READ COMMITTED, against the claim, the effect and its outcome in a commit each, as libraries do it that keep their
records apart from the effect. Both have 100,000 records already.`,
  inFlight,
  contenders: { Semel: deposits(semel({ isolation: 'read-committed' })), 'three commits': deposits(threeCommits) },
  expectations: [{ subject: 'Semel', against: ['three commits'], inFlight, atLeast: 1.8 }],
  limitedBy: `The same as above. Three commits wait for the disk three times, which counts for the more the slower that is.`,
};
