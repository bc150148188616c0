import { isDeepStrictEqual } from 'node:util';
import { openStore, type EmbeddedStore } from 'semel/embedded';
import { accountOf } from './account.ts';
import { faultOf, type Report } from './report.ts';
import type { Scenario } from './scenario.ts';
import { differenceFrom, operate, reachedBy, type Reached, twoWriters } from './workload.ts';

/** Opens what a faulty run has left, with nothing failing any more, and answers what is wrong with it. */
export async function examine(
  { directory, operations }: Scenario,
  reports: readonly Report[],
): Promise<readonly string[]> {
  const { sure, possible, violations } = accountOf(reports, operations);
  if (violations.length > 0) return violations;
  let first: Found;
  let second: Found;
  try {
    first = await openAndLook(directory);
    second = await openAndLook(directory, operateOnce);
  } catch (error) {
    const { code, message } = faultOf(error);
    return [`opening afterwards is refused${code === undefined ? '' : ` (${code})`}: ${message}`];
  }
  const wrong = [...first.reached].flatMap(([writer, last]) => {
    const [from = 0, to = 0] = [sure.get(writer), possible.get(writer)];
    if (last < from) return [`operation ${from} of ${writer} was acknowledged, and the store has them up to ${last}`];
    return last > to
      ? [`operation ${last} of ${writer} is there, which had failed for certain or was never begun`]
      : [];
  });
  if (first.difference !== undefined) wrong.push(`not what its operations make: ${first.difference}`);
  if (!isDeepStrictEqual(first.entries, second.entries)) wrong.push('opening twice shows two different stores');
  return wrong;
}

interface Found {
  readonly reached: Reached;
  readonly difference: string | undefined;
  readonly entries: readonly unknown[];
}

async function openAndLook(directory: string, act?: (store: EmbeddedStore) => Promise<void>): Promise<Found> {
  const store = await openStore({ directory });
  try {
    const reached = await reachedBy(store, twoWriters);
    const [difference, entries] = await store.read(async (tx) => [
      await differenceFrom(tx, reached),
      await Array.fromAsync(tx.scan({})),
    ]);
    await act?.(store);
    return { reached, difference, entries };
  } finally {
    await store.close();
  }
}

/** A store that was opened is one that can be written to. */
async function operateOnce(store: EmbeddedStore): Promise<void> {
  const [[writer, last] = ['', 0]] = await reachedBy(store, twoWriters);
  await store.transact((tx) => operate(tx, writer, last + 1));
}
