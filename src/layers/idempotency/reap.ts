import { assert } from '../../kv/assert.ts';
import { LockTimeoutError } from '../../kv/errors.ts';
import type { Transaction } from '../../kv/store.ts';
import { decodeRecord, dueAt, dueRange, eraseRecord, nameOfDueKey, recordKey, stateAt, writeRecord } from './record.ts';
import type { IdempotencyRecord, OperationName } from './record.ts';

export interface ReapOptions {
  /** Records a batch, at most. A batch is one transaction, so it bounds what others may have to wait for. */
  readonly limit: number;
}

export interface Reaped {
  /** Complete records past their expiry, of which tombstones are left. */
  readonly expired: number;
  /** Records past their tombstone, of which nothing is left. */
  readonly erased: number;
  /** Records that another transaction holds just now. Their turn comes again. */
  readonly skipped: number;
  /** Whether the batch was full, so that there may be more. */
  readonly more: boolean;
}

/**
 * Makes the store agree with what the records mean already: it drops results past their expiry and whatever is past its
 * tombstone, the longest due first. No answer changes by it; only space is won.
 */
export async function reap(tx: Transaction, { limit }: ReapOptions): Promise<Reaped> {
  const count = { expired: 0, erased: 0, skipped: 0 };
  const due: OperationName[] = [];
  for await (const { key } of tx.scan(dueRange(tx.now), { limit })) due.push(nameOfDueKey(key));
  for (const name of due) count[await reapOne(tx, name)] += 1;
  return { ...count, more: due.length === limit && count.skipped < limit };
}

async function reapOne(tx: Transaction, name: OperationName): Promise<'expired' | 'erased' | 'skipped'> {
  if (!(await lockAtOnce(tx, name))) return 'skipped';
  const stored = await tx.get(recordKey(name));
  assert(stored !== undefined, 'what is due has a record');
  const record = decodeRecord(stored);
  assert(dueAt(record) <= tx.now, 'a record is due when its index entry says so');
  if (record.state !== 'complete' || stateAt(record, tx.now) === 'absent') {
    eraseRecord(tx, name, record);
    return 'erased';
  }
  const { result: _, ...rest } = record;
  const tombstone: IdempotencyRecord = { ...rest, state: 'expired' };
  writeRecord(tx, name, tombstone, record);
  return 'expired';
}

/**
 * An operation that executes again after its expiry holds its record's key for as long as it runs, and a commit of ours
 * would have to wait behind it. The nested scope keeps a refused lock from spoiling the transaction where engines are
 * strict about that.
 */
async function lockAtOnce(tx: Transaction, name: OperationName): Promise<boolean> {
  try {
    await tx.nest((nested) => nested.lock(recordKey(name), { timeoutMs: 0 }));
    return true;
  } catch (error) {
    if (error instanceof LockTimeoutError) return false;
    throw error;
  }
}
