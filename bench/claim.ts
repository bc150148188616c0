/**
 * A claim: contenders that do the same work, and what is expected of their ratio. Absolute figures are of one machine at one
 * moment, so no claim is made of them; contenders take turns in the same run, and only their ratio is judged.
 */
export interface Claim {
  /** Of its file, and of its picture. */
  readonly name: string;
  readonly title: string;
  /** What is counted, a second. */
  readonly unit: string;
  /** What each contender does, in a sentence or two. */
  readonly work: string;
  /** How many are in flight; the contenders are measured at each. */
  readonly inFlight: readonly number[];
  readonly contenders: Readonly<Record<string, OpenContender>>;
  readonly expectations: readonly Expectation[];
  /** Of the turn that is not counted, where the usual one is too short for the compiler. */
  readonly warmUpMs?: number;
  /** What limits the figure, in sentences. */
  readonly limitedBy: string;
}

/** Gets a place of its own, which is empty: a directory on the disk of this repository, or the address of a database. */
export type OpenContender = (place: string) => Promise<Contender>;

export interface Contender {
  /** Works for so long, then verifies what it did, which is not timed. Throws where something is missing or too much. */
  run(inFlight: number, durationMs: number): Promise<Measured>;
  close(): Promise<void>;
}

export interface Measured {
  readonly operations: number;
  readonly elapsedMs: number;
}

/** The ratio of one contender to the best of others. Without `atLeast` it is only told. */
export interface Expectation {
  readonly subject: string;
  readonly against: readonly string[];
  readonly inFlight: readonly number[];
  readonly atLeast?: number;
}
