/** What a query answered, as far as a count needs it: the first column of its first rows. */
export interface Rows {
  readonly values: readonly unknown[];
}

/** A count is one row. That there is a second is enough to know; no table has to fit into memory for that. */
export const rowsMax = 2;

/** Runs queries that only read, one after the other. */
export interface SqlReader {
  /** Rejects with what the database says. */
  query(text: string): Promise<Rows>;
  /** Ends at once whatever runs. A query after it opens anew. */
  close(): Promise<void>;
}
