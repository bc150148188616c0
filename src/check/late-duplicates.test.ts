import Fastify from 'fastify';
import { realWorld } from 'semel';
import { check, countByGet, describeTarget, formatReport, type CheckResult } from 'semel/check';
import { openStore } from 'semel/embedded';
import { createOnce } from 'semel/fastify';
import { describe, expect, onTestFinished, test } from 'vitest';
import { SkippingEnvironment } from '../testing/skipping-environment.harness.ts';
import { checkShop, limits, outcomes } from './shops/check-shop.harness.ts';
import {
  ForgettingShop,
  lifetimeMs,
  SlowShop,
  TombstoneShop,
  UnfencedShop,
  wrongLateShops,
} from './shops/late-shops.harness.ts';
import { Shop } from './shops/shop.harness.ts';

const late = ['late-duplicate', 'expiry'];

describe('check, long after the answer', () => {
  test.for([
    ['forgets a key', (environment: SkippingEnvironment) => new ForgettingShop(lifetimeMs, environment)],
    [
      'refuses duplicates in flight',
      (environment: SkippingEnvironment) => new ForgettingShop(lifetimeMs, environment, { inFlight: 409 }),
    ],
    ['refuses a key that is past', (environment: SkippingEnvironment) => new TombstoneShop(lifetimeMs, environment)],
    ['remembers longer than it says', () => new Shop()],
  ] as const)('passes a correct server that %s', async ([, open]) => {
    for (let seed = 1; seed <= 10; seed += 1) {
      const environment = new SkippingEnvironment();
      const report = await checkShop(open(environment), { environment, lifetimeMs, only: late, seed });
      expect(outcomes(report, 'pass'), formatReport(report)).toEqual(late);
    }
  });

  test.for(['refuse', 'execute'] as const)(
    'passes Semel itself, which is told to %s what comes too late',
    async (onExpired) => {
      const environment = new SkippingEnvironment();
      const store = await openStore({ world: { ...realWorld, now: () => environment.now() } });
      const once = createOnce(store, { scope: () => 'ann', retentionMs: lifetimeMs, onExpired });
      const app = Fastify();
      app.register(
        once({
          method: 'POST',
          url: '/orders',
          handler: async (_request, tx) => Response.json(await tx.add(['orders'], 1), { status: 201 }),
        }),
      );
      app.get('/count', async () => store.read(async (tx) => ({ orders: (await tx.get(['orders'])) ?? 0 })));
      const url = await app.listen({ port: 0, host: '127.0.0.1' });
      onTestFinished(() => app.close());
      const effect = countByGet(`${url}/count`, '$.orders');
      const options = { effect, environment, lifetimeMs, limits, only: late };
      const report = await check(describeTarget(`${url}/orders`, { body: { item: 'tea' } }), options);
      expect(outcomes(report, 'pass'), formatReport(report)).toEqual(late);
      expect(formatReport(report)).toContain(
        onExpired === 'refuse' ? 'answered 8 times 410, acted never' : 'acted once',
      );
    },
  );

  test.for(wrongLateShops)('finds that $defect', async ({ open, foundBy }) => {
    const environment = new SkippingEnvironment();
    const report = await checkShop(open(environment), { environment, lifetimeMs, only: late });
    expect(outcomes(report, 'fail'), formatReport(report)).toEqual(foundBy);
  });

  test('finds that a key is forgotten before the usual retry, where nobody says for how long it is remembered', async () => {
    const environment = new SkippingEnvironment();
    const options = { environment, only: late, limits: { lateMs: 5_000, quietMs: 15 } };
    const report = await checkShop(new ForgettingShop(4_000, environment), options);
    expect(outcomes(report, 'fail'), formatReport(report)).toEqual(['late-duplicate']);
    expect(outcomes(report, 'not-tried')).toEqual(['expiry']);
  });

  test('waits for no lifetime that is longer than the run may wait, and says so', async () => {
    const environment = new SkippingEnvironment();
    const options = { environment, lifetimeMs: 86_400_000, only: late, limits: { lateMs: 5_000, quietMs: 15 } };
    const { results } = await checkShop(new Shop(), options);
    expect(results.map(wordsOf)).toEqual([
      expect.stringContaining('a duplicate 5 s after the answer, of a lifetime of 86,400 s, answered 201'),
      expect.stringContaining('the lifetime of 86,400 s is longer than the 120 s'),
    ]);
    expect(environment.monotonicMs()).toBeLessThan(20_000);
  });
});

describe('check, while a request is handled', () => {
  test('finds a late owner that is not fenced', async () => {
    const report = await checkShop(new UnfencedShop({ inFlight: 409 }), {
      only: ['sequential-duplicates', 'in-flight-duplicates'],
    });
    expect(outcomes(report, 'fail'), formatReport(report)).toEqual(['in-flight-duplicates']);
  });

  test.for(['wait', 202, 409] as const)('passes a slow server that answers duplicates with %s', async (inFlight) => {
    const report = await checkShop(new SlowShop({ inFlight }), {
      only: ['in-flight-duplicates'],
      limits: { ...limits, patienceMsMax: 30_000 },
    });
    expect(outcomes(report, 'pass'), formatReport(report)).toEqual(['in-flight-duplicates']);
  });
});

function wordsOf(result: CheckResult): string {
  return result.result === 'not-tried' ? result.why : result.seen;
}
