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
  limitedBy: `One core. The protected route spends several times the processor time of the unprotected one, spread thin, no function above some
percent: Request and Response objects of the web standard, the fingerprint (SHA-256 over the canonical body), the claim, and a record with the
response that is committed with the effect. The clients, in their own process, were idle for two thirds of the time.`,
};
