/** The door `semel/postgres`. */
export type { Connector } from './connector.ts';
export type { Answer, IsolationLevel } from './session.ts';
export { openStore, type PostgresEvent, type PostgresOptions, type PostgresStore } from './postgres-store.ts';
export type { PostgresTransaction, SqlResult } from './postgres-transaction.ts';
export { migrate, type Migrated, type MigrateOptions, type MigrationClient, migrationsSql } from './migrate.ts';
export { SchemaMissingError, SchemaNewerError, SchemaOutdatedError } from './schema-errors.ts';
export { DatabaseRefusedError, DatabaseUnavailableError } from './database-errors.ts';
