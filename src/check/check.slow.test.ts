import { formatReport } from 'semel/check';
import { describe, expect, test } from 'vitest';
import { checkShop, limits, outcomes, overlapped, usualChecks } from './shops/check-shop.harness.ts';
import { Shop, type Choices } from './shops/shop.harness.ts';
import { wrongShops } from './shops/wrong-shops.harness.ts';

describe('check', () => {
  const choices: readonly Partial<Choices>[] = [
    {},
    { inFlight: 409, mismatch: 409 },
    { inFlight: 202, missing: 'execute' },
    { inFlight: 423, quoted: 'another', mismatch: 400 },
    { inFlight: 425, quoted: 'refuse' },
    { created: 204 },
    { created: 202, keyCharactersMax: 64, keysAreOf: 'operation' },
    { created: 200, keyCharactersMax: 10_000, refusal: 'forgotten' },
  ];

  test.for(choices)('raises no alarm about a correct server that chose %j, whatever the seed', async (chosen) => {
    const seeds = Array.from({ length: 13 }, (_, index) => index + 1);
    const reports = await overlapped(seeds, (seed) =>
      // A correct server on a busy machine may be slow, and must not be blamed for it.
      checkShop(new Shop(chosen), { seed, limits: { ...limits, patienceMsMax: 30_000 } }),
    );
    for (const report of reports) expect(outcomes(report, 'pass'), formatReport(report)).toEqual(usualChecks);
  });

  test('finds what is wrong with each wrong server, and nothing else', async () => {
    const reports = await overlapped(wrongShops, async (shop) => ({ shop, report: await checkShop(shop.open()) }));
    for (const { shop, report } of reports) {
      const found = outcomes(report, 'fail').filter((name) => !shop.perhapsBy?.includes(name));
      expect(found, `${shop.defect}\n${formatReport(report)}`).toEqual(shop.foundBy);
    }
  });
});
