import { HistoryRecorder, type TransactionRecorder } from './history-recorder.ts';
import type { History, RecordedTransaction } from './transaction-history.ts';

/**
 * A history by hand. Transactions overlap unless told `after`; each is in a session of its own unless told `session`.
 * Operations are in short: `a x 1` appends 1 to x, `r x 1 2` read [1 2] of x, `? x y z: y 1 2` looked for x, y and z and found y = [1 2].
 */
export function story(...lines: readonly (string | StoryLine)[]): History {
  const transactions: RecordedTransaction[] = [];
  for (const [index, line] of lines.entries()) {
    const { does, outcome = 'committed', session, after }: StoryLine = typeof line === 'string' ? { does: line } : line;
    const recorder = new HistoryRecorder();
    const transaction = recorder.begin('');
    for (const step of does.split(',')) perform(transaction, step.trim());
    transaction.committed();
    const [recorded] = recorder.history().transactions;
    const earlier = transactions.find(({ name }) => name === after);
    const invoked = earlier === undefined ? 0 : earlier.completed + 1;
    const newest = transactions.filter((one) => one.session === session).at(-1)?.completed;
    const begun = Math.max(invoked, (newest ?? -1) + 1);
    transactions.push({
      ...(recorded as RecordedTransaction),
      name: `T${index + 1}`,
      session: session ?? `s${index + 1}`,
      outcome,
      invoked: begun,
      completed: begun + (after === undefined && session === undefined ? 100 : 1),
    });
  }
  return { transactions };
}

export interface StoryLine {
  readonly does: string;
  readonly outcome?: RecordedTransaction['outcome'];
  readonly session?: string;
  /** Began when the one of this name was over. */
  readonly after?: string;
}

function perform(transaction: TransactionRecorder, step: string): void {
  const [words = '', found = ''] = step.split(':');
  const [act, ...rest] = words.trim().split(' ');
  const [key = '', ...elements] = rest;
  const numbers = elements.map(Number);
  if (act === 'a') for (const element of numbers) transaction.append(key, element);
  if (act === 'r') transaction.read(key, numbers.length === 0 ? undefined : numbers);
  if (act !== '?') return;
  const [foundKey = '', ...foundElements] = found.trim().split(' ');
  transaction.range(rest, new Map(foundKey === '' ? [] : [[foundKey, foundElements.map(Number)]]));
}
