/**
 * What clients of a database did and saw. Every checker of transactions judges this and nothing else, so it says only what
 * a client can know: which order it gave and which answer it got, and when.
 */
export interface History {
  readonly transactions: readonly RecordedTransaction[];
}

export interface RecordedTransaction {
  /** As it is called in what is printed and drawn. */
  readonly name: string;
  /** Who ran it. A session runs its transactions one after another. */
  readonly session: string;
  /** When it was begun: on any clock or counter that all sessions share. */
  readonly invoked: number;
  /** When its outcome was known, on the same clock. */
  readonly completed: number;
  /** `unknown`: the commit was sent and its answer was lost. It may have happened, at any time since, or may not have. */
  readonly outcome: 'committed' | 'aborted' | 'unknown';
  /** In the order in which it did them. */
  readonly operations: readonly Operation[];
  /** The place in the serial order that the database claims for it, for `checkSerialOrder` alone. */
  readonly position?: number | bigint | undefined;
  /** What the database calls its writes, should a read tell whose write it saw. For `checkSerialOrder` alone. */
  readonly version?: string | number | bigint | undefined;
}

export type Operation = Append | Write | Read | RangeRead;

/** Puts an element at the end of a list, in one atomic step. An absent list is an empty one. */
export interface Append {
  readonly act: 'append';
  readonly key: string;
  /** Nobody else ever appends it to this key. */
  readonly element: ListElement;
}

/** Sets what the key holds; `undefined` deletes it. */
export interface Write {
  readonly act: 'write';
  readonly key: string;
  readonly value: unknown;
}

/** What the key held; `undefined`: nothing. */
export interface Read {
  readonly act: 'read';
  readonly key: string;
  readonly value: unknown;
  readonly version?: RecordedTransaction['version'];
}

/** What a condition found. A key of `keys` that `found` has not was absent. */
export interface RangeRead {
  readonly act: 'range';
  /** Every key that the condition would have found, had it been there: a range over a small, dense set of keys. */
  readonly keys: readonly string[];
  readonly found: ReadonlyMap<string, unknown>;
}

export type ListElement = string | number | bigint;

/** Thrown at a history that no client can have recorded: the recording is wrong, whatever the database is. */
export class MalformedHistoryError extends Error {
  readonly code = 'malformed-history';
  override readonly name = 'MalformedHistoryError';
}
