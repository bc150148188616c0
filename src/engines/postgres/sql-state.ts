import { SemelError } from '../../kv/errors.ts';
import { DatabaseRefusedError, DatabaseUnavailableError } from './database-errors.ts';

/** What PostgreSQL says of a statement (its manual, appendix A); `undefined` where it said nothing, and the connection is gone. */
export function sqlStateOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('severity' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The error as PostgreSQL told it, where a client, or whoever caught it, has wrapped it; else the error as it is. */
export function innermost(error: unknown, unwrap = (outer: unknown): unknown => outer): unknown {
  let inner = error;
  for (let depth = 0; depth < causesMax && inner instanceof Error; depth++) {
    const unwrapped = unwrap(inner);
    if (sqlStateOf(unwrapped) !== undefined) return unwrapped;
    inner = inner.cause;
  }
  return unwrap(error);
}

/** Nobody wraps so often, but an error may be its own cause. */
const causesMax = 10;

/** Another attempt may do better. 23505 counts on the store's own table alone: there it is a race for one key. */
export function isConflict(error: unknown, schema: string): boolean {
  const state = sqlStateOf(error);
  if (state === serializationFailure) return true;
  return state === '23505' && isOwnTable(error, schema);
}

function isOwnTable(error: unknown, schema: string): boolean {
  return (
    error instanceof Error && 'schema' in error && 'table' in error && error.schema === schema && error.table === 'kv'
  );
}

const serializationFailure = '40001';
export const deadlockDetected = '40P01';
export const lockNotAvailable = '55P03';
/** What every statement gets after one that failed. */
export const failedTransaction = '25P02';
/** What only a transaction can do, said outside of one. */
export const noActiveTransaction = '25P01';

/** Whether the connection can no longer be used, so that the fate of a commit that was sent is open. */
export function isConnectionLost(error: unknown): boolean {
  if (error instanceof SemelError) return false;
  const state = sqlStateOf(error);
  // 40003 says so itself: statement_completion_unknown. 25P03 and 25P04 are timeouts that end the session.
  return state === undefined || /^(?:08|57P0[1-5]|40003|25P0[34])/.test(state);
}

/** What a caller is told of an error in one of the store's own statements. */
export function toldOf(error: unknown): SemelError {
  if (error instanceof SemelError) return error;
  const state = sqlStateOf(error);
  const cause = { cause: error };
  if (state === undefined) return new DatabaseUnavailableError(adviceOfConnection(error), cause);
  const [, advice] = advices.find(([pattern]) => pattern.test(state)) ?? [undefined, 'The cause tells more.'];
  if (/^(?:08|57P0|53300|25P0[34])/.test(state)) return new DatabaseUnavailableError(advice, cause);
  return new DatabaseRefusedError(state, advice, cause);
}

function adviceOfConnection(error: unknown): string {
  if (error instanceof Error && error.message.includes('timeout exceeded when trying to connect')) {
    return 'No connection of the pool was free in time, or the server did not answer: let the pool have more, or hold them for less long.';
  }
  return 'Check the address, and whether the server runs; then send again.';
}

const advices: readonly (readonly [RegExp, string])[] = [
  [/^28/, 'Check the user and the password.'],
  [/^3D000/, 'Create the database, or name another one.'],
  [/^(?:3F000|42P01|42703)/, 'Make the schema with: semel migrate --postgres URL --schema NAME'],
  [/^42501/, 'Grant the role what docs/postgres.md lists.'],
  [/^25006/, 'Connect to the primary, not to a replica that only reads.'],
  [/^53300/, 'Raise max_connections, or let fewer processes have smaller pools.'],
  [/^53100/, 'The disk of the server is full: make room.'],
  [/^53/, 'The server is short of something: give it more, or ask for less.'],
  [/^54/, 'The row is too large for PostgreSQL.'],
  [/^57014/, 'A statement took longer than statement_timeout, or was cancelled.'],
  [/^57P/, 'The server restarts or shuts down: send again.'],
  [/^25P03/, 'The transaction did nothing for too long: keep bodies short.'],
  [/^25P04/, 'The transaction lasted for too long: keep bodies short.'],
];
