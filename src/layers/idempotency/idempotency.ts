import { assert } from '../../kv/assert.ts';
import type { ReadTransaction, Transaction } from '../../kv/store.ts';
import type { Value } from '../../kv/value.ts';
import { sameFingerprint } from './fingerprint.ts';
import {
  checkIdentity,
  checkName,
  readRecord,
  recordKey,
  stateAt,
  writeRecord,
  type CancelledRecord,
  type CompleteRecord,
  type IdempotencyRecord,
  type Identity,
  type OperationName,
} from './record.ts';
import type { RetentionPolicy } from './retention.ts';

export {
  fingerprint,
  fingerprintAlgorithm,
  sameFingerprint,
  type Fingerprint,
  type FingerprintParts,
} from './fingerprint.ts';
export { idempotencyKeyCharsMax, parseIdempotencyKey, type ParsedIdempotencyKey } from './idempotency-key.ts';
export { reap, type ReapOptions, type Reaped } from './reap.ts';
export type { Identity, OperationName } from './record.ts';
export {
  defaultRetentionMs,
  defaultTombstoneMs,
  retentionPolicy,
  type RetentionOptions,
  type RetentionPolicy,
} from './retention.ts';

/**
 * The record of an operation lives in the transaction that executes the operation: both commit, or neither does.
 *
 * - *Absent*: nothing is known. `claim` answers with a `Claim` and the operation is
 * - *in progress*. No record says so, only the lock on the record's key, and it dies with the transaction: a crash, a kill, a throw,
 *   a passed deadline lead back to *absent* without a lease to wait for and without anybody's cleaning up. The
 *   claim is spent by `complete`, in the same transaction, and with its commit the operation is
 * - *complete*: every further `claim` answers with the result, until `expiresAt`, counted from the commit in memory, which its sync follows. Then it is
 * - *expired*: what is left is a tombstone that keeps the fingerprint. A late retry is told so, or, where the policy says
 *   `execute`, is given a claim. At `tombstoneUntil` the operation is *absent* again.
 * - *Cancelled*: `cancel` of an absent operation burns the key, until `tombstoneUntil`. Cancelling what is complete or expired changes
 *   nothing and tells what it is.
 *
 * A request with another payload finds a *mismatch* wherever a fingerprint is kept, and changes nothing.
 *
 * Expiry is a predicate upon reading: a record means at any moment what its times say, whether or not the reaper has come by.
 * A failure at any step throws out of the transaction, which then commits nothing: each transition happens whole or not at all.
 * What writes the record, `complete`, demands the claim that `claim` gave out, so a path that did not win cannot write it.
 */
export type ClaimAnswer = { readonly state: 'absent'; readonly claim: Claim } | RecalledAnswer;

/** The answers that rest on a record. */
export type RecalledAnswer =
  | ({ readonly state: 'complete' } & CompleteView)
  | { readonly state: 'mismatch' }
  | { readonly state: 'expired'; readonly expiredAt: number }
  | { readonly state: 'cancelled'; readonly cancelledAt: number };

export interface CompleteView {
  readonly result: Value;
  readonly createdAt: number;
  readonly completedAt: number;
  readonly expiresAt: number;
}

/** What can be told of an operation to who does not execute it. */
export type RecordView =
  | ({ readonly state: 'complete' } & CompleteView)
  | {
      readonly state: 'expired';
      readonly createdAt: number;
      readonly completedAt: number;
      /** It lies in the past. */
      readonly expiresAt: number;
    }
  | {
      readonly state: 'cancelled';
      readonly createdAt: number;
      readonly completedAt: number;
      /** How long the key stays burnt. */
      readonly expiresAt: number;
    };

export interface ClaimOptions {
  readonly policy: RetentionPolicy;
  /** How long to wait for another transaction that has the operation in progress. Default `limits.lockTimeoutMs`. */
  readonly lockTimeoutMs?: number;
}

/** The right to write one record, once, in the transaction that won it. `claim` alone gives it out; nothing else is one. */
export interface Claim {
  readonly createdAt: number;
  readonly [given]: true;
}

export interface Completion {
  readonly result: Value;
  /**
   * How long the attempt took, by a clock that never goes back, from the claim to the moment before the commit; `prepare` has
   * the commit's waiting behind it. Expiry counts from there.
   */
  readonly elapsedMs: number;
}

/** What a claim stands for. Who has no claim from here finds nothing here, and a spent one is gone. */
const won = new WeakMap<Claim, Won>();
declare const given: unique symbol;

interface Won {
  readonly tx: Transaction;
  readonly identity: Identity;
  readonly policy: RetentionPolicy;
  /** Expired and to be executed again, or past and not reaped yet. */
  readonly previous: IdempotencyRecord | undefined;
}

/**
 * Asks for the right to execute. It locks the record's key, so of several transactions that claim one operation, in whichever
 * processes, one executes and the others learn its outcome. Called before the transaction's first read it costs no conflict.
 *
 * A record whose fingerprint is of another algorithm than the claim's is a mismatch. Its payload cannot be compared, and of the three
 * possible answers the refusal alone does no harm: replaying might hand out another request's result, executing might be the second time.
 *
 * @throws InvalidArgumentError for a scope or key out of bounds; LockTimeoutError, when the operation is in progress elsewhere
 */
export async function claim(tx: Transaction, identity: Identity, options: ClaimOptions): Promise<ClaimAnswer> {
  checkIdentity(identity);
  const { policy, lockTimeoutMs } = options;
  const isLocked = await tx.lockIfAbsent(recordKey(identity), bounds(lockTimeoutMs));
  let record = await readRecord(tx, identity);
  let answer = record && answerFrom(record, identity, policy, tx.now);
  if (answer === undefined && !isLocked) {
    // Past, or to be executed again: who writes it has to be alone with it.
    record = await readLocked(tx, identity, options);
    answer = answerFrom(record, identity, policy, tx.now);
  }
  return answer ?? { state: 'absent', claim: give(tx, identity, options, record) };
}

/**
 * What `claim` answers to who may not execute, read without a lock; so it also serves where nothing can be written. `undefined`
 * decides nothing, for what a read sees may be older than what a claim finds. An answer does decide: what has changed
 * since is not durable, so nobody has been told of it.
 *
 * @throws InvalidArgumentError for a scope or key out of bounds
 */
export async function recall(
  tx: ReadTransaction,
  identity: Identity,
  { policy }: Pick<ClaimOptions, 'policy'>,
): Promise<RecalledAnswer | undefined> {
  checkIdentity(identity);
  return answerFrom(await readRecord(tx, identity), identity, policy, tx.now);
}

/** Spends a claim: the outcome is kept if, and only if, the transaction commits. */
export function complete(tx: Transaction, claim: Claim, { result, elapsedMs }: Completion): CompleteView {
  const held = won.get(claim);
  assert(held !== undefined, 'a claim comes from claim() and is spent once');
  assert(held.tx === tx, 'a claim is spent in the transaction that won it');
  assert(elapsedMs >= 0, 'an attempt takes no less than no time');
  won.delete(claim);
  const { createdAt } = claim;
  const completedAt = createdAt + Math.ceil(elapsedMs);
  const expiresAt = completedAt + held.policy.retentionMs;
  const times = { createdAt, completedAt, expiresAt, tombstoneUntil: expiresAt + held.policy.tombstoneMs };
  const { fingerprint } = held.identity;
  writeRecord(tx, held.identity, { state: 'complete', fingerprint, result, ...times }, held.previous);
  return { result, createdAt, completedAt, expiresAt };
}

/**
 * Settles an operation: tells what became of it, or, where nothing is known of it, burns its key, so that a request still on its way
 * will be refused. Waits for one in progress as `claim` does.
 *
 * @throws as `claim` does
 */
export async function cancel(tx: Transaction, name: OperationName, options: ClaimOptions): Promise<RecordView> {
  checkName(name);
  const record = await readLocked(tx, name, options);
  const known = record === undefined ? undefined : viewAt(record, tx.now);
  if (known !== undefined) return known;
  const { retentionMs, tombstoneMs } = options.policy;
  const now = tx.now;
  const cancelled: IdempotencyRecord = {
    state: 'cancelled',
    createdAt: now,
    completedAt: now,
    tombstoneUntil: now + retentionMs + tombstoneMs,
  };
  writeRecord(tx, name, cancelled, record);
  return cancelledView(cancelled);
}

/** What is known of an operation. `undefined` means *not seen yet*, or forgotten; never that it did not happen. */
export async function look(tx: ReadTransaction, name: OperationName): Promise<RecordView | undefined> {
  checkName(name);
  const record = await readRecord(tx, name);
  return record === undefined ? undefined : viewAt(record, tx.now);
}

async function readLocked(
  tx: Transaction,
  name: OperationName,
  { lockTimeoutMs }: ClaimOptions,
): Promise<IdempotencyRecord | undefined> {
  await tx.lock(recordKey(name), bounds(lockTimeoutMs));
  return readRecord(tx, name);
}

function bounds(lockTimeoutMs: number | undefined): { readonly timeoutMs?: number } {
  return lockTimeoutMs === undefined ? {} : { timeoutMs: lockTimeoutMs };
}

function answerFrom(
  record: IdempotencyRecord | undefined,
  { fingerprint }: Identity,
  { onExpired }: RetentionPolicy,
  now: number,
): RecalledAnswer | undefined {
  const state = record === undefined ? 'absent' : stateAt(record, now);
  if (record === undefined || state === 'absent') return undefined;
  if (record.state === 'cancelled') return { state: 'cancelled', cancelledAt: record.completedAt };
  if (!sameFingerprint(record.fingerprint, fingerprint)) return { state: 'mismatch' };
  if (state === 'complete' && record.state === 'complete') return { state, ...completeView(record) };
  return onExpired === 'execute' ? undefined : { state: 'expired', expiredAt: record.expiresAt };
}

function give(
  tx: Transaction,
  identity: Identity,
  { policy }: ClaimOptions,
  previous: IdempotencyRecord | undefined,
): Claim {
  // The symbol exists for the compiler alone, which takes no other object for a claim.
  const claim = Object.freeze({ createdAt: tx.now }) as Claim;
  won.set(claim, { tx, identity, policy, previous });
  return claim;
}

function viewAt(record: IdempotencyRecord, now: number): RecordView | undefined {
  const state = stateAt(record, now);
  if (state === 'absent') return undefined;
  if (record.state === 'cancelled') return cancelledView(record);
  if (record.state === 'complete' && state === 'complete') return { state, ...completeView(record) };
  const { createdAt, completedAt, expiresAt } = record;
  return { state: 'expired', createdAt, completedAt, expiresAt };
}

function completeView({ result, createdAt, completedAt, expiresAt }: CompleteRecord): CompleteView {
  return { result, createdAt, completedAt, expiresAt };
}

function cancelledView({ createdAt, completedAt, tombstoneUntil }: CancelledRecord): RecordView {
  return { state: 'cancelled', createdAt, completedAt, expiresAt: tombstoneUntil };
}
