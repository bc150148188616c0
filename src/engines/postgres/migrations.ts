import type { Migration } from './migrations/migration.ts';
import { kvTable } from './migrations/kv-table.ts';
import { operationsView } from './migrations/operations-view.ts';

/** In order, without gaps: a migration's version is its number here. */
export const migrations: readonly Migration[] = [kvTable, operationsView];
