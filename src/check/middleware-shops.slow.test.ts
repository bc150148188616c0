import { check, countByGet, describeTarget, formatReport, type Report } from 'semel/check';
import { expect, test } from 'vitest';
import { limits, others, outcomes } from './shops/check-shop.harness.ts';
import {
  serveExpressIdempotency,
  serveNodeIdempotency,
  type MiddlewareShop,
} from './shops/middleware-shops.harness.ts';

/** Both are for POST alone, in the memory of a process that goes on. */
const untried = ['mismatch-method', 'expiry', 'restart-between', 'killed-amid'];

/**
 * Why each is no false alarm, by `dist/services/idempotencyService.js`:
 * - `replay-equality`: `buildIdempotencyResponse` keeps the headers of a list, `['content-type']`, so that the Location of a 201 is lost.
 * - `other-tenant-acts`: `findByIdempotencyKey(idempotencyKey)` looks up the bare key, and `DefaultIntentValidator` compares URL, method,
 *   query and body; who asks is in neither. The answer of the first tenant goes to the second one.
 * - `other-tenant-learns-nothing`: for the same reason another body of the second tenant is a misuse, 417, of a key it never used.
 */
test('check finds that express-idempotency drops headers and gives the answers of one tenant to another', async () => {
  const report = await checkMiddleware(await serveExpressIdempotency());
  expect(outcomes(report, 'fail'), formatReport(report)).toEqual([
    'replay-equality',
    'other-tenant-acts',
    'other-tenant-learns-nothing',
  ]);
  expect(outcomes(report, 'not-tried')).toEqual(untried);
  expect(seenBy(report, 'replay-equality')).toMatch(/^location was \/orders\/\S+, and absent of the duplicate$/);
  expect(seenBy(report, 'other-tenant-acts')).toContain('they acted once; the other one got the answer of the first');
});

/**
 * Why each is no false alarm, by `dist/idempotency.js`:
 * - `other-tenant-acts`, `other-tenant-learns-nothing`: `getIdempotencyCacheKey` is made of a prefix, the method, the path and the key, and
 *   `getFingerPrint` of the body. The prefix is one for the whole instance.
 * - `fault-gone-succeeds`: `onResponse` sets COMPLETE with whatever it is given, for `cacheTTLMS`, a day; there is no call that lets a
 *   key go. The README passes errors to it, and its authors' plugins those of 5xx. Not to call it would leave the key IN_PROGRESS, and
 *   each retry 409, for the same day.
 */
test('check finds that node-idempotency keeps faults and gives the answers of one tenant to another', async () => {
  const report = await checkMiddleware(await serveNodeIdempotency());
  expect(outcomes(report, 'fail'), formatReport(report)).toEqual([
    'other-tenant-acts',
    'other-tenant-learns-nothing',
    'fault-gone-succeeds',
  ]);
  expect(outcomes(report, 'not-tried')).toEqual(untried);
  expect(seenBy(report, 'other-tenant-acts')).toContain('they acted once; the other one got the answer of the first');
  expect(seenBy(report, 'fault-gone-succeeds')).toBe('it was answered 500, and a retry without the fault 500');
});

async function checkMiddleware({ orders, count }: MiddlewareShop): Promise<Report> {
  // Both protect POST, by their READMEs, so that there is no other method to be told from it.
  const { otherMethod: _, ...rest } = others;
  const request = { body: { item: 'tea', cups: 2 }, headers: { Authorization: 'Bearer ann' }, ...rest };
  const target = describeTarget(orders, request, { otherTenant: { Authorization: 'Bearer bob' } });
  // Their users on a busy machine are patient.
  return check(target, { effect: countByGet(count, '$.orders'), limits: { ...limits, patienceMsMax: 30_000 } });
}

function seenBy({ results }: Report, name: string): string {
  const result = results.find((one) => one.name === name);
  return result?.result === 'fail' ? result.seen : '';
}
