import { assert } from '../../kv/assert.ts';
import type { History, ListElement, Operation, RecordedTransaction } from './transaction-history.ts';

/**
 * Records what the clients of a database do, in one process, whatever the database is: a client tells it what it is about to
 * write and what it has read. Its clock counts calls, so that what it says of the order of real time is true.
 */
export class HistoryRecorder {
  readonly #transactions: RecordedTransaction[] = [];
  readonly #running = new Set<TransactionRecorder>();
  #tick = 0;
  #names = 0;
  #elements = 0;

  /** Call it before the database is asked to begin. A session runs its transactions one after another. */
  begin(session: string): TransactionRecorder {
    const recorder: TransactionRecorder = new TransactionRecorder(
      { name: `T${++this.#names}`, session, invoked: ++this.#tick },
      (ended) => {
        this.#running.delete(recorder);
        this.#transactions.push({ ...ended, completed: ++this.#tick });
      },
    );
    this.#running.add(recorder);
    return recorder;
  }

  /**
   * Begins, runs `body`, and takes the end of it for the end of the transaction. What it throws leaves the outcome unknown,
   * which is never wrong, unless `didNotHappen` knows better.
   */
  async transaction<T>(
    session: string,
    body: (recorder: TransactionRecorder) => Promise<T>,
    { didNotHappen = () => false }: RecordOptions = {},
  ): Promise<T> {
    const recorder = this.begin(session);
    try {
      const result = await body(recorder);
      recorder.committed();
      return result;
    } catch (error) {
      recorder.failed(didNotHappen(error));
      throw error;
    }
  }

  /** An element that this has never answered before. */
  freshElement(): number {
    return ++this.#elements;
  }

  /** What has been recorded so far. Whoever has not ended may or may not happen yet. */
  history(): History {
    const running = [...this.#running].map((recorder) => recorder.asUnknown(this.#tick + 1));
    const transactions = [...this.#transactions, ...running].sort((one, other) => one.invoked - other.invoked);
    return { transactions };
  }
}

export interface RecordOptions {
  /** Whether an error proves that the transaction did not happen. */
  readonly didNotHappen?: (error: unknown) => boolean;
}

type Begun = Pick<RecordedTransaction, 'name' | 'session' | 'invoked'>;
type Ended = Omit<RecordedTransaction, 'completed'>;

/** One transaction that is being recorded. Tell it of a write before the database is told, and of a read after. */
export class TransactionRecorder {
  readonly #begun: Begun;
  readonly #end: (ended: Ended) => void;
  readonly #operations: Operation[] = [];
  #hasEnded = false;

  constructor(begun: Begun, end: (ended: Ended) => void) {
    this.#begun = begun;
    this.#end = end;
  }

  get name(): string {
    return this.#begun.name;
  }

  append(key: string, element: ListElement): void {
    this.#note({ act: 'append', key, element });
  }

  /** `undefined` deletes it. */
  write(key: string, value: unknown): void {
    this.#note({ act: 'write', key, value });
  }

  /** `undefined`: there was nothing. */
  read(key: string, value: unknown, version?: RecordedTransaction['version']): void {
    this.#note({ act: 'read', key, value, version });
  }

  /** `keys` is all that the condition would find, `found` what it did find. */
  range(keys: readonly string[], found: ReadonlyMap<string, unknown>): void {
    this.#note({ act: 'range', keys: [...keys], found: new Map(found) });
  }

  committed(known: Pick<RecordedTransaction, 'position' | 'version'> = {}): void {
    this.#close('committed', known);
  }

  aborted(): void {
    this.#close('aborted');
  }

  unknown(known: Pick<RecordedTransaction, 'position' | 'version'> = {}): void {
    this.#close('unknown', known);
  }

  failed(didNotHappen: boolean): void {
    this.#close(didNotHappen ? 'aborted' : 'unknown');
  }

  asUnknown(completed: number): RecordedTransaction {
    return { ...this.#begun, outcome: 'unknown', operations: [...this.#operations], completed };
  }

  #note(operation: Operation): void {
    assert(!this.#hasEnded, `${this.name} does nothing after its end`);
    this.#operations.push(operation);
  }

  #close(outcome: RecordedTransaction['outcome'], known: Pick<RecordedTransaction, 'position' | 'version'> = {}): void {
    assert(!this.#hasEnded, `${this.name} ends once`);
    this.#hasEnded = true;
    this.#end({ ...this.#begun, ...known, outcome, operations: this.#operations });
  }
}
