/** One line of the engine, made wrong as somebody might make it wrong. */
export interface Mutant {
  readonly name: string;
  /** Under src/. */
  readonly file: string;
  /** The whole line, without its indentation; it must stand there once. Where it stands more often, with the next one. */
  readonly line: string;
  readonly becomes: string;
  /** What users would lose. */
  readonly why: string;
}
