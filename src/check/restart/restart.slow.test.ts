import { formatReport } from 'semel/check';
import { describe, expect, test } from 'vitest';
import { outcomes } from '../shops/check-shop.harness.ts';
import { checkDyingShop, wrongDyingShops } from '../shops/dying-shops.harness.ts';

describe('check, across deaths', () => {
  test.for(['one transaction', 'claims of the living'])(
    'passes a correct server of %s over many kills',
    async (how) => {
      // A correct server on a busy machine may be slow, and must not be blamed for it.
      const report = await checkDyingShop(how, { limits: { kills: 12, patienceMsMax: 30_000, settleMsMax: 10_000 } });
      expect(outcomes(report, 'pass'), formatReport(report)).toHaveLength(4);
    },
  );

  test.for(wrongDyingShops)('finds the fault of $how, and nothing else', async ({ how, foundBy }) => {
    const report = await checkDyingShop(how);
    expect(outcomes(report, 'fail'), formatReport(report)).toEqual(foundBy);
    expect(outcomes(report, 'pass'), formatReport(report)).toHaveLength(4 - foundBy.length);
  });

  test.for(['one transaction', 'memory-only records'])(
    'does not judge %s by a count that dies as well',
    async (how) => {
      const report = await checkDyingShop(how, {}, '$.placedSinceStart');
      expect(outcomes(report, 'fail'), formatReport(report)).toEqual([]);
      expect(outcomes(report, 'not-tried'), formatReport(report)).toEqual(['restart-between', 'killed-amid']);
      expect(formatReport(report)).toContain('it needs a count that outlives the process');
    },
  );
});
