import { ConflictError, TransactionClosedError } from '../../kv/errors.ts';
import type { Version } from '../../kv/store.ts';
import { decodeKey, type EncodedKey } from '../../kv/tuple.ts';
import type { Value } from '../../kv/value.ts';
import { type Additions, sumOf, type WriteBuffer } from '../../kv/write-buffer.ts';
import { encodedKeyOf, keyBytes, type StoredRow, valueBytes, valueOf } from './row.ts';
import type { Session } from './session.ts';
import { failedTransaction, sqlStateOf } from './sql-state.ts';
import type { Statements } from './statements.ts';

export interface FlushOptions {
  readonly sql: Statements;
  readonly version: Version;
  /** What was told to fit must hold, although it is not among the writes any more. */
  readonly boundsTold: readonly Additions[];
  /** The commit need not wait for the disk. */
  readonly isVisible: boolean;
  /** Whether a key was found absent before the transaction: then somebody else's would be a conflict. */
  readonly isAbsent: (key: EncodedKey) => boolean;
  /** Called when COMMIT is sent: from there on only its answer tells. */
  readonly onSent: () => void;
}

/**
 * Writes what a transaction has buffered, and commits, in one round trip; in two where additions have to see the newest value first.
 * Keys are written in their order, so that two transactions never wait for each other's rows in a circle.
 *
 * @throws ConflictError over a bound that no longer holds; what PostgreSQL says
 */
export async function flush(session: Session, buffer: WriteBuffer, options: FlushOptions): Promise<void> {
  const { sql, version } = options;
  const values = new Map<EncodedKey, Value>();
  const created = new Map<EncodedKey, Value>();
  const removed: EncodedKey[] = [];
  const added: Additions[] = [];
  for (const write of buffer.own()) {
    if (write.kind === 'set') (options.isAbsent(write.key) ? created : values).set(write.key, write.stored.value);
    else if (write.kind === 'deleted') removed.push(write.key);
    else added.push(write);
  }
  const additions = [...added, ...options.boundsTold];
  const newest = additions.length === 0 ? new Map<EncodedKey, StoredRow>() : await lockRows(session, sql, additions);
  for (const { key, additions: told } of options.boundsTold) madeOn(newest.get(key), key, told);
  for (const { key, additions: made } of added) {
    const row = newest.get(key);
    (row === undefined ? created : values).set(key, madeOn(row, key, made));
  }
  const sent: Promise<unknown>[] = [];
  const send = (text: string, parameters?: readonly unknown[]): void => {
    const answer = session.query(text, parameters);
    answer.catch(() => undefined);
    sent.push(answer);
  };
  if (buffer.size > 0) send(sql.gate('ROW EXCLUSIVE'));
  if (options.isVisible) send('SET LOCAL synchronous_commit = off');
  if (removed.length > 0) send(sql.remove, [removed.toSorted().map(keyBytes)]);
  if (values.size > 0) send(sql.put, [...columns(values), version]);
  if (created.size > 0) send(sql.create, [...columns(created), version]);
  const commit = session.commit(options.onSent);
  await settle(session, sent, commit);
}

async function lockRows(
  session: Session,
  sql: Statements,
  additions: readonly Additions[],
): Promise<ReadonlyMap<EncodedKey, StoredRow>> {
  const keys = [...new Set(additions.map(({ key }) => key))].toSorted();
  const { rows } = await session.query(sql.getLocked, [keys.map(keyBytes)]);
  return new Map((rows as StoredRow[]).map((row) => [encodedKeyOf(row), row]));
}

/** @throws ConflictError where the additions, which were told to fit, no longer do */
function madeOn(row: StoredRow | undefined, key: EncodedKey, additions: Additions['additions']): Value {
  const sum = sumOf(row === undefined ? undefined : valueOf(row), additions);
  if (sum.outcome === 'refused') throw new ConflictError([decodeKey(key)]);
  return sum.sum;
}

function columns(values: ReadonlyMap<EncodedKey, Value>): readonly [readonly Buffer[], readonly Buffer[]] {
  const ordered = [...values].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return [ordered.map(([key]) => keyBytes(key)), ordered.map(([, value]) => valueBytes(value))];
}

/** The first fault tells; those behind it only follow from it, and so does the ROLLBACK as which COMMIT is then answered. */
async function settle(session: Session, sent: readonly Promise<unknown>[], commit: Promise<boolean>): Promise<void> {
  const answers = await Promise.allSettled([...sent, commit]);
  const faults = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as Error] : []));
  const fault = faults.find((each) => sqlStateOf(each) !== failedTransaction);
  if (fault !== undefined) throw fault;
  if (faults.length === 0 && (await commit)) return;
  throw new TransactionClosedError('an earlier statement of it had failed', { cause: session.failure });
}
