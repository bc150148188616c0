import { allChecks, formatReport } from 'semel/check';
import { describe, expect, test } from 'vitest';
import { checkShop, limits, outcomes } from './check-shop.harness.ts';
import { Shop, type Choices } from './shop.harness.ts';
import { wrongShops } from './wrong-shops.harness.ts';

describe('check', () => {
  const choices: readonly Partial<Choices>[] = [
    {},
    { inFlight: 409, mismatch: 409 },
    { inFlight: 202, missing: 'execute' },
    { inFlight: 423, quoted: 'another', mismatch: 400 },
    { inFlight: 425, quoted: 'refuse' },
    { created: 204 },
    { created: 202, keyCharactersMax: 64 },
    { created: 200, keyCharactersMax: 10_000 },
  ];

  test.for(choices)('raises no alarm about a correct server that chose %j, whatever the seed', async (chosen) => {
    for (let seed = 1; seed <= 13; seed += 1) {
      // A correct server on a busy machine may be slow, and must not be blamed for it.
      const report = await checkShop(new Shop(chosen), { seed, limits: { ...limits, patienceMsMax: 30_000 } });
      expect(outcomes(report, 'pass'), formatReport(report)).toEqual(allChecks.map(({ name }) => name));
    }
  });

  test.for(wrongShops)('finds that $defect, and nothing else', async ({ open, foundBy, perhapsBy = [] }) => {
    const report = await checkShop(open());
    const found = outcomes(report, 'fail').filter((name) => !perhapsBy.includes(name));
    expect(found, formatReport(report)).toEqual(foundBy);
  });
});
