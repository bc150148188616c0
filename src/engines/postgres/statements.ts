/**
 * Every statement that the engine sends, for one schema. The schema's name was checked when the store was opened, and is the
 * only thing in them that is not a constant or a parameter.
 */
export type Statements = ReturnType<typeof statementsFor>;

/** Whole milliseconds by the server's clock. Not `now()`, which is the transaction's beginning, and older than any wait. */
const clock = 'floor(extract(epoch from clock_timestamp()) * 1000)::float8';

/** Which of the server's processes answers, for who may have to cancel what runs there. */
const backend = 'pg_backend_pid() AS backend';

export function statementsFor(schema: string) {
  const table = `"${schema}".kv`;
  const gate = `"${schema}".lock_gate`;
  const columns = 'key, value, version';
  return Object.freeze({
    clock: `SELECT ${clock} AS now, ${backend}`,
    get: `SELECT ${columns} FROM ${table} WHERE key = ANY($1)`,
    getLocked: `SELECT ${columns} FROM ${table} WHERE key = ANY($1) ORDER BY key FOR UPDATE`,
    forward: `SELECT ${columns} FROM ${table} WHERE key >= $1 AND ($2::bytea IS NULL OR key < $2) ORDER BY key LIMIT $3`,
    backward: `SELECT ${columns} FROM ${table} WHERE key >= $1 AND ($2::bytea IS NULL OR key < $2) ORDER BY key DESC LIMIT $3`,
    put: `INSERT INTO ${table} (${columns}) SELECT *, $3 FROM unnest($1::bytea[], $2::bytea[])
      ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = excluded.version`,
    /** Of a key that was found absent: somebody else's would be a conflict. */
    create: `INSERT INTO ${table} (${columns}) SELECT *, $3 FROM unnest($1::bytea[], $2::bytea[])`,
    remove: `DELETE FROM ${table} WHERE key = ANY($1)`,
    tryLock: `SELECT pg_try_advisory_xact_lock($1) AS granted, ${clock} AS now, ${backend}`,
    tryLockShared: `SELECT pg_try_advisory_xact_lock_shared($1) AS granted, ${clock} AS now, ${backend}`,
    lock: 'SELECT 1 FROM pg_advisory_xact_lock($1)',
    lockShared: 'SELECT 1 FROM pg_advisory_xact_lock_shared($1)',
    gate: (mode: GateMode) => `LOCK TABLE ${gate} IN ${mode} MODE`,
  });
}

/** What `clock` answers, and what comes with a lock. */
export interface Clock {
  readonly now: number;
}

/**
 * How the gate is taken: PostgreSQL's table locks are exactly the intention locks of multiple granularity locking (Gray 1976).
 * A key's lock goes in by ROW SHARE or ROW EXCLUSIVE, a range by SHARE or EXCLUSIVE; writes go in by ROW EXCLUSIVE too.
 */
export type GateMode = 'ROW SHARE' | 'ROW EXCLUSIVE' | 'SHARE' | 'EXCLUSIVE';
