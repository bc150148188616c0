import { assert } from '../../kv/assert.ts';
import { InvalidArgumentError } from '../../kv/errors.ts';
import { migrations } from './migrations.ts';
import type { Migration } from './migrations/migration.ts';
import { SchemaMissingError, SchemaNewerError, SchemaOutdatedError } from './schema-errors.ts';

/** One connection, as a `Client` of `pg` is and a `PoolClient`; a pool is none. It has no transaction open. */
export interface MigrationClient {
  query(text: string): Promise<{ readonly rows: readonly unknown[] }>;
}

export interface MigrateOptions {
  /** Where the tables are. Default `semel`. */
  readonly schema?: string;
}

/** Versions of the schema; 0 is none. */
export interface Migrated {
  readonly from: number;
  readonly to: number;
}

export const defaultSchema = 'semel';
const latest = migrations.length;

/**
 * Brings the schema to the version that this Semel needs: all of the way or not at all.
 *
 * Nobody is locked out where nothing is to be done: that is one SELECT. Otherwise one transaction takes an advisory lock
 * and looks again, so of many processes the first migrates and the others find it done. The snapshot of the second look is
 * newer than the lock because the transaction is READ COMMITTED.
 *
 * @throws InvalidArgumentError, SchemaNewerError, or what the database answers
 */
export async function migrate(client: MigrationClient, options: MigrateOptions = {}): Promise<Migrated> {
  const { schema = defaultSchema } = options;
  checkSchemaName(schema);
  const before = await readVersion(client, schema);
  refuseNewer(schema, before);
  if (before === latest) return { from: before, to: before };
  await client.query(begin);
  try {
    await client.query(lock);
    const from = await readVersionInside(client, schema);
    refuseNewer(schema, from);
    for (const migration of migrations.slice(from)) await client.query(statements(migration, schema));
    await client.query('commit');
    return { from, to: latest };
  } catch (error) {
    // Where the connection is what failed, the server rolls back by itself.
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}

/**
 * Nothing where the schema is the one that this Semel needs. One round trip.
 *
 * @throws InvalidArgumentError, SchemaMissingError, SchemaOutdatedError, SchemaNewerError, or what the database answers
 */
export async function requireSchema(client: MigrationClient, schema: string): Promise<void> {
  checkSchemaName(schema);
  const found = await readVersion(client, schema);
  if (found === 0) throw new SchemaMissingError(schema);
  if (found < latest) throw new SchemaOutdatedError(schema, found, latest);
  refuseNewer(schema, found);
}

/**
 * What `migrate` would do to a schema of version `from`, for psql; nothing where nothing is to be done. Run twice, or on
 * another version, it fails as a whole, because the table of migrations has each version once.
 *
 * @throws InvalidArgumentError
 */
export function migrationsSql(schema: string, from = 0): string {
  checkSchemaName(schema);
  if (from >= latest) return '';
  return [begin, lock, ...migrations.slice(from).map((one) => statements(one, schema)), 'commit;\n'].join('\n');
}

/**
 * The version that the schema has; 0 where there is none. Outside of a transaction, for it may fail.
 *
 * @throws what the database answers, such as that the role may not look
 */
export async function readVersion(client: MigrationClient, schema: string): Promise<number> {
  try {
    return versionIn(await client.query(selectVersion(schema)));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === undefinedTable) return 0;
    throw error;
  }
}

/** PostgreSQL's code for a table that is not there, be it because its schema is not. */
const undefinedTable = '42P01';

/** Within a transaction, which a table that is missing would end. */
async function readVersionInside(client: MigrationClient, schema: string): Promise<number> {
  const { rows } = await client.query(`select from pg_class where oid = to_regclass('"${schema}".migration')`);
  return rows.length === 0 ? 0 : versionIn(await client.query(selectVersion(schema)));
}

function selectVersion(schema: string): string {
  return `select coalesce(max(version), 0) as version from "${schema}".migration`;
}

function versionIn({ rows }: { readonly rows: readonly unknown[] }): number {
  const [row] = rows;
  assert(typeof row === 'object' && row !== null && 'version' in row, 'an aggregate has one row');
  assert(typeof row.version === 'number', 'a version is an int');
  return row.version;
}

/** Whoever waits for a lock of another keeps everyone behind it waiting too: it gives up after `lock_timeout`. */
const begin = `begin isolation level read committed read write;
set local lock_timeout = '5s';`;

/** Of two numbers, which operations never lock: they lock one. The first spells "seme"; the second is migration's. */
const lock = 'select pg_advisory_xact_lock(1936026981, 1);';

function statements({ version, name, sql }: Migration, schema: string): string {
  const applied = `insert into "${schema}".migration (version, name) values (${version}, '${name}');\n`;
  return `${sql(schema)}\n${applied}`;
}

/** Short enough that PostgreSQL's 63 bytes hold what is made of it; in lower case, so that people need not quote it. */
function checkSchemaName(schema: string): void {
  if (typeof schema === 'string' && /^[a-z_][a-z0-9_]{0,39}$/.test(schema)) return;
  throw new InvalidArgumentError('schema', schema, '1 to 40 of a to z, 0 to 9 and _, a digit not being the first');
}

/** @throws SchemaNewerError */
export function refuseNewer(schema: string, found: number): void {
  if (found > latest) throw new SchemaNewerError(schema, found, latest);
}
