import { allChecks, check, describeTarget, formatReport } from 'semel/check';
import { describe, expect, test } from 'vitest';
import { checkShop, limits, outcomes, overlapped, usualChecks } from './shops/check-shop.harness.ts';
import { wrongDyingShops } from './shops/dying-shops.harness.ts';
import { wrongLateShops } from './shops/late-shops.harness.ts';
import { serve, Shop } from './shops/shop.harness.ts';
import { wrongShops } from './shops/wrong-shops.harness.ts';

describe('check', () => {
  test('passes a correct server', async () => {
    const report = await checkShop(new Shop());
    expect(outcomes(report, 'pass'), formatReport(report)).toEqual(usualChecks);
    expect(report.ending).toBe('complete');
  });

  test('finds what is wrong with each wrong server by the checks that are for it', async () => {
    const reports = await overlapped(wrongShops, async (shop) => ({
      shop,
      report: await checkShop(shop.open(), { only: shop.foundBy }),
    }));
    for (const { shop, report } of reports) {
      expect(outcomes(report, 'fail'), `${shop.defect}\n${formatReport(report)}`).toEqual(shop.foundBy);
    }
  });

  test('has a wrong server for each check', () => {
    const found = new Set([...wrongShops, ...wrongLateShops, ...wrongDyingShops].flatMap(({ foundBy }) => foundBy));
    expect(allChecks.map(({ name }) => name).filter((name) => !found.has(name))).toEqual([]);
  });

  test('tries no check that needs a count where there is none', async () => {
    const report = await checkShop(new Shop(), { effect: undefined });
    const needy = allChecks.filter(({ needsEffect }) => needsEffect).map(({ name }) => name);
    expect(outcomes(report, 'not-tried')).toEqual(needy);
    expect(outcomes(report, 'fail')).toEqual([]);
  });

  test('tries nothing at once where one request at a time is allowed', async () => {
    const report = await checkShop(new Shop(), { limits: { ...limits, concurrencyMax: 1 } });
    expect(outcomes(report, 'not-tried').slice(0, 2)).toEqual(['concurrent-duplicates', 'in-flight-duplicates']);
    expect(outcomes(report, 'fail')).toEqual([]);
  });

  test('tries nothing more where fresh keys do not act', async () => {
    const [first] = wrongShops;
    const report = await checkShop(first?.open() ?? new Shop());
    expect(outcomes(report, 'not-tried')).toEqual(allChecks.slice(1).map(({ name }) => name));
  });

  test.for([
    ['an endpoint that refuses', 400, 0, 'a fresh request, which should have succeeded, was answered 400'],
    ['a count that stands still', 201, 0, 'the count did not rise'],
    ['a count that rises by two', 201, 2, 'raised the count by 2'],
  ] as const)('cannot run against %s', async ([, status, effects, reason]) => {
    class Odd extends Shop {
      override async handle(order: Parameters<Shop['handle']>[0]): Promise<void> {
        this.orders += effects;
        order.outgoing.writeHead(status).end();
      }
    }
    const report = await checkShop(new Odd(), { limits: { ...limits, settleMsMax: 50 } });
    expect(report).toMatchObject({ ending: 'could-not-run', reason: expect.stringContaining(reason), results: [] });
  });

  test('says in one line why there is no connection', async () => {
    const { orders } = await serve(new Shop());
    const target = describeTarget(orders.replace('http:', 'https:'), {});
    const { reason } = await check(target, { limits: { ...limits, patienceMsMax: 1 } });
    expect(reason).toMatch(/^a fresh request, .* was answered not at all \(.*wrong version number.*\) for \d+ ms$/);
  });

  test('cannot run where the count moves by itself', async () => {
    const { orders } = await serve(new Shop());
    let count = 0;
    const restless = { count: async () => (count += 1) };
    const report = await check(describeTarget(orders, {}), {
      effect: restless,
      limits: { ...limits, settleMsMax: 50 },
    });
    expect(report).toMatchObject({ ending: 'could-not-run', reason: expect.stringContaining('does not come to rest') });
  });

  test('counts an effect that shows later than its answer', async () => {
    const { orders } = await serve(new Shop());
    const shop = new Shop();
    const late = await serve(shop);
    // Two reads later, as from a replica. Three reads fit into the time for which a count rests, on a busy machine too.
    const seen: number[] = [];
    const effect = { count: async () => (seen.push(shop.orders), seen.at(-3) ?? 0) };
    const target = describeTarget(late.orders, { body: 'tea' });
    const report = await check(target, {
      effect,
      limits: { ...limits, quietMs: 90 },
      only: ['fresh-key', 'sequential-duplicates'],
    });
    expect(outcomes(report, 'pass')).toEqual(['fresh-key', 'sequential-duplicates']);
    expect(orders).not.toBe(late.orders);
  });

  test('reports what it has when it is interrupted', async () => {
    const controller = new AbortController();
    const report = await checkShop(new Shop(), {
      signal: controller.signal,
      onProgress: (progress) => {
        if (progress.event === 'ended') controller.abort();
      },
    });
    expect(report.ending).toBe('interrupted');
    expect(report.results.map(({ name }) => name)).toEqual(['fresh-key']);
  });

  test('runs what is chosen, and refuses a name of no check', async () => {
    const report = await checkShop(new Shop(), { only: ['fresh-key', 'replay-equality'], skip: ['fresh-key'] });
    expect(report.results.map(({ name }) => name)).toEqual(['replay-equality']);
    await expect(checkShop(new Shop(), { skip: ['no-such'] })).rejects.toMatchObject({ code: 'INVALID_INPUT' });
  });
});
