import { SemelError } from '../../kv/errors.ts';

/** The database has no schema of Semel's under this name. Only a migration makes one: who runs may not be allowed to. */
export class SchemaMissingError extends SemelError {
  readonly code = 'schema-missing';
  readonly effect = 'did-not-happen';
  readonly schema: string;

  constructor(schema: string, options?: ErrorOptions) {
    super(`there is no schema ${schema} of Semel's in the database; ${howToMigrate(schema)}`, options);
    this.schema = schema;
  }
}

/** The schema is older than this version of Semel needs it. */
export class SchemaOutdatedError extends SemelError {
  readonly code = 'schema-outdated';
  readonly effect = 'did-not-happen';
  readonly schema: string;
  readonly found: number;
  readonly needed: number;

  constructor(schema: string, found: number, needed: number) {
    super(`the schema ${schema} has version ${found} and ${needed} is needed; ${howToMigrate(schema)}`);
    this.schema = schema;
    this.found = found;
    this.needed = needed;
  }
}

/** A newer Semel migrated the schema. What this one would do to it, nobody has thought of. */
export class SchemaNewerError extends SemelError {
  readonly code = 'schema-newer';
  readonly effect = 'did-not-happen';
  readonly schema: string;
  readonly found: number;
  readonly known: number;

  constructor(schema: string, found: number, known: number) {
    super(`the schema ${schema} has version ${found} and this semel knows ${known} at most; update semel`);
    this.schema = schema;
    this.found = found;
    this.known = known;
  }
}

function howToMigrate(schema: string): string {
  return `run semel migrate --postgres URL --schema ${schema}`;
}
