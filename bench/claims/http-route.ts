import type { Claim } from '../claim.ts';
import { protectedRoute, unprotectedRoute } from '../http/route.ts';

export const claim: Claim = {
  name: 'http-route',
  title: 'A protected HTTP route',
  unit: 'requests/s',
  work: 'POST to a Fastify server on loopback: it adds to one of 1,000 accounts, durably, and answers 201 with JSON.',
  inFlight: [64],
  // At some thousand calls a second the compiler takes its time: after two seconds both routes still got faster.
  warmUpMs: 10_000,
  contenders: { protected: protectedRoute, 'floor: unprotected': unprotectedRoute },
  expectations: [{ subject: 'protected', against: ['floor: unprotected'], inFlight: [64], atLeast: 0.8 }],
  limitedBy: `One core. The unprotected route is little more than Node.js, Fastify and one addition. The protected one spends about four times its
processor time, and no function stands out: without the Request and Response objects of the web standard (tried by hand, not part of this) it kept
four fifths of that. The rest is the fingerprint, a look for the record, the claim with its lock, a nested scope, and a record and an index entry with the
response, encoded, logged and kept beside the effect, all of which the unprotected route does without.`,
};
