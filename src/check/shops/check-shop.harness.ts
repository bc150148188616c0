import {
  allChecks,
  check,
  describeTarget,
  type CheckOptions,
  type CheckResult,
  type Report,
  type Target,
  type VariationsDescription,
} from 'semel/check';
import { serve, type Shop } from './shop.harness.ts';

/** Small servers on this machine are quick, so a run need not wait long for effects that would show late. */
export const limits = { quietMs: 15, patienceMsMax: 400, ratePerSecondMax: 1e6, lateMs: 20 };

/** What a shop does under another query, path and method is another order; it sells no tea by no cups; and it has faults on request. */
export const others: VariationsDescription = {
  otherQuery: 'express=yes',
  otherPath: '/orders/of-our-branch',
  otherMethod: 'PUT',
  otherEndpoint: { url: '/subscriptions', body: { item: 'tea', cups: 2, every: 'week' } },
  failing: [{ body: { item: 'tea', cups: 0 } }, { headers: { 'X-Fault': 'yes' } }],
  failOnce: { headers: { 'X-Fault': 'yes' } },
};

/** The count is read where it is, which is half of the work less than by GET. */
export async function checkShop(shop: Shop, options: CheckOptions = {}): Promise<Report> {
  const { orders } = await serve(shop);
  return check(shopTarget(orders), { effect: { count: async () => shop.orders }, limits, ...options });
}

export function shopTarget(orders: string): Target {
  const request = { body: { item: 'tea', cups: 2 }, headers: { Authorization: 'Bearer ann' }, ...others };
  return describeTarget(orders, request, { otherTenant: { authorization: 'Bearer bob' } });
}

/** The names of the checks that ended so. */
export function outcomes({ results }: Report, wanted: CheckResult['result']): readonly string[] {
  return results.filter(({ result }) => result === wanted).map(({ name }) => name);
}

/** A run waits more than it works, so others run meanwhile; so many that the machine is busy, and no more. */
const runsAtOnce = 8;

/** As `Promise.all`, a few at a time. */
export async function overlapped<Item, Result>(
  items: readonly Item[],
  run: (item: Item) => Promise<Result>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  const waiting = items.entries();
  const worker = async (): Promise<void> => {
    // The workers share what is waiting.
    for (const [index, item] of waiting) results[index] = await run(item);
  };
  await Promise.all(Array.from({ length: runsAtOnce }, worker));
  return results;
}

/** Those that are tried of a server of which nothing is known but how it counts. */
export const usualChecks = allChecks
  .map(({ name }) => name)
  .filter((name) => !['expiry', 'restart-between', 'killed-amid'].includes(name));
