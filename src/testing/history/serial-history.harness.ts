import type { Seeded } from '../../check/seeded.ts';
import type { History, ListElement, Operation, RecordedTransaction } from './transaction-history.ts';

export interface SerialHistoryOptions {
  readonly transactions: number;
  readonly sessions: number;
  readonly keys: number;
  readonly appendsPerKey: number;
}

/**
 * A history that is strictly serializable by construction: transactions run one at a time on a map, each at one moment, and
 * are told to have begun some time before it and to have been answered some time after. Some are rolled back, of some the
 * answer is lost, before or after they took effect.
 */
export function recordSerially(seeded: Seeded, options: SerialHistoryOptions): History {
  const below = (bound: number): number => Math.floor(seeded.fraction() * bound);
  const lists = new Map<string, readonly ListElement[]>();
  const freeFrom = Array.from({ length: options.sessions }, () => 0);
  const transactions: RecordedTransaction[] = [];
  let elements = 0;
  for (let at = 1; at <= options.transactions; at++) {
    // Moments are 10 apart; a session that is still busy leaves the moment to another.
    const moment = at * 10;
    const session = freeFrom.findIndex((from) => from < moment);
    if (session === -1) continue;
    const from = (freeFrom[session] as number) + 1;
    const invoked = Math.max(from, moment - below(60));
    const completed = moment + below(60);
    freeFrom[session] = completed;
    const outcome = (['aborted', 'unknown', 'unknown'] as const)[below(30)] ?? 'committed';
    const happens = outcome === 'committed' || (outcome === 'unknown' && below(2) === 0);

    const first = Math.floor(elements / options.appendsPerKey);
    const keys = Array.from({ length: options.keys }, (_, key) => `k${first + key}`);
    const state = new Map<string, readonly ListElement[]>();
    const listAt = (key: string) => state.get(key) ?? lists.get(key);
    const operations = Array.from({ length: 1 + below(4) }, (): Operation => {
      const key = keys[below(keys.length)] as string;
      switch (below(5)) {
        case 0:
        case 1:
          state.set(key, [...(listAt(key) ?? []), ++elements]);
          return { act: 'append', key, element: elements };
        case 2: {
          const found = keys.flatMap((one): [string, readonly ListElement[]][] => {
            const list = listAt(one);
            return list === undefined ? [] : [[one, list]];
          });
          return { act: 'range', keys, found: new Map(found) };
        }
        default:
          return { act: 'read', key, value: listAt(key) };
      }
    });
    if (happens) for (const [key, list] of state) lists.set(key, list);
    transactions.push({
      name: `T${at}`,
      session: `s${session}`,
      invoked,
      completed,
      outcome,
      operations,
      position: at,
    });
  }
  return { transactions };
}
