import { Seeded } from '../../check/seeded.ts';
import { realWorld } from '../../kv/world.ts';
import { HistoryRecorder, type TransactionRecorder } from './history-recorder.ts';
import type { History, ListElement } from './transaction-history.ts';

/** A database that holds lists, as the random workload uses it. Some ten lines for any database. */
export interface ListDatabase {
  /** Runs `body` in one transaction on the session's own connection, and commits. It may run `body` again, if what ran before did not happen. */
  transact(session: string, body: (tx: ListTransaction) => Promise<void>): Promise<void>;
  /** Whether what `transact` threw proves that nothing happened. */
  didNotHappen(error: unknown): boolean;
}

export interface ListTransaction {
  /** Appends, in one atomic step if the database has it. If it had to read the list first, it answers what it read. */
  append(key: string, element: ListElement): Promise<readonly ListElement[] | void>;
  read(key: string): Promise<readonly ListElement[] | undefined>;
  /** One query for all of these keys; answers those that are there. Without it, no phantom is looked for. */
  range?(keys: readonly string[]): Promise<ReadonlyMap<string, readonly ListElement[]>>;
}

export interface WorkloadOptions {
  readonly seed: number;
  /** How many run at once. Default 5. */
  readonly sessions?: number;
  /** Of all sessions together. Default 200. */
  readonly transactions?: number;
  /** Keys in use at a time. Default 4. */
  readonly keys?: number;
  /** Default 4. */
  readonly operationsMax?: number;
  /** After so many appends a key retires and another takes its place, so that lists stay short. Default 16. */
  readonly appendsPerKey?: number;
}

/**
 * Lets sessions run random transactions at once and records them. What each does is a function of the seed; how they meet
 * is the database's doing.
 */
export async function recordWorkload(database: ListDatabase, options: WorkloadOptions): Promise<History> {
  const { sessions = 5, transactions = 200 } = options;
  const recorder = new HistoryRecorder();
  const workload = new RandomWorkload(options);
  let left = transactions;
  const run = async (session: string): Promise<void> => {
    while (left-- > 0) await runOne(database, recorder, session, workload.program());
  };
  await Promise.all(Array.from({ length: sessions }, (_, at) => run(`session ${at + 1}`)));
  return recorder.history();
}

type Step =
  | { readonly act: 'append' | 'read'; readonly key: string }
  | { readonly act: 'range'; readonly keys: readonly string[] };

async function runOne(
  database: ListDatabase,
  recorder: HistoryRecorder,
  session: string,
  program: readonly Step[],
): Promise<void> {
  let attempt = recorder.begin(session);
  let runs = 0;
  try {
    await database.transact(session, async (tx) => {
      // That it runs again says that what ran before did not happen.
      if (runs++ > 0) {
        attempt.aborted();
        attempt = recorder.begin(session);
      }
      for (const step of program) await perform(tx, step, { recorder, attempt });
    });
    attempt.committed();
  } catch (error) {
    attempt.failed(database.didNotHappen(error));
  }
}

interface Recording {
  readonly recorder: HistoryRecorder;
  readonly attempt: TransactionRecorder;
}

async function perform(tx: ListTransaction, step: Step, { recorder, attempt }: Recording): Promise<void> {
  // Whatever can run does so between two steps, lest a database in this process never interleave anything.
  await new Promise<void>((resolve) => realWorld.defer(resolve));
  switch (step.act) {
    case 'read':
      attempt.read(step.key, await tx.read(step.key));
      break;
    case 'range':
      if (tx.range !== undefined) attempt.range(step.keys, await tx.range(step.keys));
      break;
    case 'append': {
      // An attempt's elements are its own, so that what was rolled back is told from what was done again.
      const element = recorder.freshElement();
      try {
        const read = await tx.append(step.key, element);
        if (read !== undefined) attempt.read(step.key, read);
      } finally {
        attempt.append(step.key, element);
      }
    }
  }
}

class RandomWorkload {
  readonly #seeded: Seeded;
  readonly #keys: number;
  readonly #operationsMax: number;
  readonly #appendsPerKey: number;
  #appends = 0;

  constructor({ seed, keys = 4, operationsMax = 4, appendsPerKey = 16 }: WorkloadOptions) {
    this.#seeded = new Seeded(seed);
    this.#keys = keys;
    this.#operationsMax = operationsMax;
    this.#appendsPerKey = appendsPerKey;
  }

  program(): readonly Step[] {
    return Array.from({ length: 1 + this.#below(this.#operationsMax) }, (): Step => {
      const act = (['append', 'append', 'read', 'read', 'range'] as const)[this.#below(5)] as Step['act'];
      if (act === 'range') return { act, keys: this.#current() };
      if (act === 'append') this.#appends += 1;
      return { act, key: this.#current()[this.#below(this.#keys)] as string };
    });
  }

  #current(): readonly string[] {
    const first = Math.floor(this.#appends / this.#appendsPerKey);
    return Array.from({ length: this.#keys }, (_, at) => `k${first + at}`);
  }

  #below(bound: number): number {
    return Math.floor(this.#seeded.fraction() * bound);
  }
}
