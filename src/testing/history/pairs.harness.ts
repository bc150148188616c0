import { SemelError } from '../../kv/errors.ts';
import type { Isolation, Store } from '../../kv/store.ts';
import { HistoryRecorder } from './history-recorder.ts';
import { storeLists } from './store-lists.ts';
import type { History } from './transaction-history.ts';

/** What each of two does before and after the other has done its first half. */
export type Pair = readonly [first: string, second: string];
const readSkew: Pair = ['r x | r y', 'a x a y |'];
const writeSkew: Pair = ['r x | a y', 'r y | a x'];
const lostUpdate: Pair = ['r x | a x', 'r x | a x'];
export const pairs: readonly Pair[] = [readSkew, writeSkew, lostUpdate];

/** The first half of one, all of the other, the second half of the one; what conflicts is rolled back. */
export async function play(store: Store, [first, second]: Pair, isolation: Isolation): Promise<History> {
  const lists = storeLists(store, isolation);
  const recorder = new HistoryRecorder();
  const [halfway, over] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const run = async (session: string, program: string, pause: () => Promise<void>): Promise<void> => {
    let runs = 0;
    const outcome = recorder.transaction(
      session,
      (recorded) =>
        lists.transact(session, async (tx) => {
          if (runs++ > 0) throw new Conflicted();
          for (const [half, steps] of program.split('|').entries()) {
            if (half === 1) await pause();
            for (const [, act, key = ''] of steps.matchAll(/([ar]) (\w)/g)) {
              if (act === 'r') {
                recorded.read(key, await tx.read(key));
                continue;
              }
              const element = recorder.freshElement();
              await tx.append(key, element);
              recorded.append(key, element);
            }
          }
        }),
      { didNotHappen: (error) => error instanceof Conflicted || error instanceof SemelError },
    );
    await outcome.catch((error: unknown) => {
      if (!(error instanceof Conflicted)) throw error;
    });
  };
  const one = run('one', first, () => {
    halfway.resolve();
    return over.promise;
  });
  await halfway.promise;
  await run('other', second, async () => undefined);
  over.resolve();
  await one;
  return recorder.history();
}

class Conflicted extends Error {}
