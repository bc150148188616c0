import { check, countByGet, describeTarget, type CheckOptions, type CheckResult, type Report } from 'semel/check';
import { serve, type Shop } from './shop.harness.ts';

/** Small servers on this machine are quick, so a run need not wait long for effects that would show late. */
export const limits = { quietMs: 15, patienceMsMax: 400, ratePerSecondMax: 1e6 };

export async function checkShop(shop: Shop, options: CheckOptions = {}): Promise<Report> {
  const { orders, count } = await serve(shop);
  const target = describeTarget(orders, { body: { item: 'tea', cups: 2 } });
  return check(target, { effect: countByGet(count, '$.orders'), limits, ...options });
}

/** The names of the checks that ended so. */
export function outcomes({ results }: Report, wanted: CheckResult['result']): readonly string[] {
  return results.filter(({ result }) => result === wanted).map(({ name }) => name);
}
