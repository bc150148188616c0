/**
 * A step to the next version of the schema. There is no way back: an older Semel refuses a newer schema. Once published it
 * never changes, since databases have it already; what is to be different is another migration, behind it.
 */
export interface Migration {
  readonly version: number;
  readonly name: string;
  /** Statements, each with its semicolon, for a schema whose name stands in quotes or in a literal as it is. */
  readonly sql: (schema: string) => string;
}
