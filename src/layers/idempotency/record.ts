import { assert } from '../../kv/assert.ts';
import { InvalidArgumentError } from '../../kv/errors.ts';
import type { ReadTransaction, Transaction } from '../../kv/store.ts';
import type { Key, Range } from '../../kv/key.ts';
import type { Value } from '../../kv/value.ts';
import { fingerprintDigestBytes, type Fingerprint } from './fingerprint.ts';
import { idempotencyKeyCharsMax, isIdempotencyKey } from './idempotency-key.ts';

/** What an operation is called: `key` is the client's word, `scope` keeps it apart from everybody else's. */
export interface OperationName {
  readonly scope: string;
  readonly key: string;
}

export interface Identity extends OperationName {
  readonly fingerprint: Fingerprint;
}

interface Times {
  readonly createdAt: number;
  /** When the outcome was committed; of a cancelled operation, when it was cancelled. */
  readonly completedAt: number;
  /** From then on there is no trace of it. */
  readonly tombstoneUntil: number;
}

interface Outlived {
  readonly fingerprint: Fingerprint;
  /** From then on the result is no longer handed out. */
  readonly expiresAt: number;
}

export type CompleteRecord = Times & Outlived & { readonly state: 'complete'; readonly result: Value };
/** A tombstone: what is left of a complete record that was reaped. */
export type ExpiredRecord = Times & Outlived & { readonly state: 'expired' };
/** It has no fingerprint: who cancels names the operation, and need not know what was sent. */
export type CancelledRecord = Times & { readonly state: 'cancelled' };
export type IdempotencyRecord = CompleteRecord | ExpiredRecord | CancelledRecord;

/** As long as a key may be; a scope that needs more, say a path of tenants, can be hashed by its owner. */
const scopeBytesMax = 255;

/** @throws InvalidArgumentError. A door has checked the key before; the layer cannot know that there was a door. */
export function checkName({ scope, key }: OperationName): void {
  const scopeFits = typeof scope === 'string' && scope !== '' && Buffer.byteLength(scope) <= scopeBytesMax;
  if (!scopeFits || !scope.isWellFormed()) {
    throw new InvalidArgumentError('scope', scope, `1 to ${scopeBytesMax} bytes of well-formed Unicode`);
  }
  if (typeof key !== 'string' || !isIdempotencyKey(key)) {
    throw new InvalidArgumentError('key', key, `1 to ${idempotencyKeyCharsMax} visible ASCII characters`);
  }
}

/** @throws InvalidArgumentError */
export function checkIdentity(identity: Identity): void {
  checkName(identity);
  const { algorithm, digest } = identity.fingerprint;
  if (!Number.isSafeInteger(algorithm) || digest.length !== fingerprintDigestBytes) {
    throw new InvalidArgumentError('fingerprint', identity.fingerprint, 'what fingerprint() makes');
  }
}

const root = 'idempotency';

export function recordKey({ scope, key }: OperationName): Key {
  return [root, 'record', scope, key];
}

/** In the order in which the reaper has to come by. */
export function dueKey(name: OperationName, record: IdempotencyRecord): Key {
  return [root, 'due', dueAt(record), name.scope, name.key];
}

/** What is due at `now`: dueKey's times are whole milliseconds, so all up to `now` lie before `now + 1`. */
export function dueRange(now: number): Range {
  return { prefix: [root, 'due'], end: [root, 'due', now + 1] };
}

/** The inverse of `dueKey`. */
export function nameOfDueKey(key: Key): OperationName {
  const [, , , scope, name] = key;
  assert(typeof scope === 'string' && typeof name === 'string', 'a due key ends with scope and key');
  return { scope, key: name };
}

export function dueAt(record: IdempotencyRecord): number {
  return record.state === 'complete' ? record.expiresAt : record.tombstoneUntil;
}

/** What a record means at `now`. It is what it means, reaped or not. */
export function stateAt(record: IdempotencyRecord, now: number): IdempotencyRecord['state'] | 'absent' {
  if (now >= record.tombstoneUntil) return 'absent';
  if (record.state === 'complete' && now >= record.expiresAt) return 'expired';
  return record.state;
}

export async function readRecord(tx: ReadTransaction, name: OperationName): Promise<IdempotencyRecord | undefined> {
  const stored = await tx.get(recordKey(name));
  return stored === undefined ? undefined : decodeRecord(stored);
}

/** Record and index entry change together; `previous` is what stood there when this transaction read it. */
export function writeRecord(
  tx: Transaction,
  name: OperationName,
  record: IdempotencyRecord,
  previous: IdempotencyRecord | undefined,
): void {
  assertConsistent(record);
  if (previous !== undefined) tx.delete(dueKey(name, previous));
  tx.set(recordKey(name), encodeRecord(record));
  tx.set(dueKey(name, record), null);
}

export function eraseRecord(tx: Transaction, name: OperationName, record: IdempotencyRecord): void {
  tx.delete(dueKey(name, record));
  tx.delete(recordKey(name));
}

function encodeRecord(record: IdempotencyRecord): Value {
  const { state, createdAt, completedAt, tombstoneUntil } = record;
  if (state === 'cancelled') return { state, createdAt, completedAt, tombstoneUntil };
  const { expiresAt, fingerprint } = record;
  const { algorithm, digest } = fingerprint;
  const outlived = { state, createdAt, completedAt, expiresAt, tombstoneUntil, algorithm, digest };
  return state === 'complete' ? { ...outlived, result: record.result } : outlived;
}

export function decodeRecord(stored: Value): IdempotencyRecord {
  const fields = members(stored);
  const times: Times = {
    createdAt: time(fields, 'createdAt'),
    completedAt: time(fields, 'completedAt'),
    tombstoneUntil: time(fields, 'tombstoneUntil'),
  };
  const { state } = fields;
  const record: IdempotencyRecord = state === 'cancelled' ? { state, ...times } : decodeOutlived(fields, times);
  assertConsistent(record);
  return record;
}

function decodeOutlived(fields: Readonly<Record<string, Value>>, times: Times): CompleteRecord | ExpiredRecord {
  const { state, algorithm, digest, result } = fields;
  assert(typeof algorithm === 'number' && digest instanceof Uint8Array, 'a stored record has a fingerprint');
  const rest = { fingerprint: { algorithm, digest }, expiresAt: time(fields, 'expiresAt'), ...times };
  if (state === 'expired') return { state, ...rest };
  assert(state === 'complete' && result !== undefined, 'a stored record is complete, expired or cancelled');
  return { state, result, ...rest };
}

/** Stated before every write and after every read. Retention is correctness, so above all: the times are in order. */
function assertConsistent(record: IdempotencyRecord): void {
  assert(record.createdAt <= record.completedAt, 'an operation is created before it is complete');
  assert(record.completedAt < record.tombstoneUntil, 'a tombstone outlives the outcome');
  if (record.state === 'cancelled') return;
  assert(record.completedAt < record.expiresAt, 'an outcome is kept for a while');
  assert(record.expiresAt <= record.tombstoneUntil, 'a tombstone follows the record');
  assert(record.fingerprint.digest.length === fingerprintDigestBytes, 'a digest has its length');
}

function members(stored: Value): Readonly<Record<string, Value>> {
  assert(
    typeof stored === 'object' && stored !== null && !Array.isArray(stored) && !(stored instanceof Uint8Array),
    'a stored record is an object',
  );
  return Object.fromEntries(Object.entries(stored));
}

function time(fields: Readonly<Record<string, Value>>, name: string): number {
  const value = fields[name];
  assert(typeof value === 'number' && Number.isSafeInteger(value), 'times are whole milliseconds');
  return value;
}
