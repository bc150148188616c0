import type { Transaction } from 'semel';
import type { Json } from './json.ts';
import { kvKey } from './kv-space.ts';
import { entityTag, evaluate, type Preconditions } from './preconditions.ts';
import { problemResponse } from './problem.ts';

export interface KvWrite {
  readonly tenant: string;
  readonly key: string;
  readonly preconditions: Preconditions;
}

/**
 * 201 where the key was absent, else 200; both with the new version, and without the value, which the client has just
 * sent and which a kept answer need not hold a second time.
 */
export async function putValue(tx: Transaction, write: KvWrite, value: Json): Promise<Response> {
  const before = await lockAndRead(tx, write);
  if (before.refusal !== undefined) return before.refusal;
  tx.set(kvKey(write.tenant, write.key), value);
  return new Response(JSON.stringify({ key: write.key, version: tx.version }), {
    status: before.version === undefined ? 201 : 200,
    headers: { 'content-type': 'application/json', etag: entityTag(tx.version) },
  });
}

/** 204, of an absent key as well: a client that sends a DELETE again after a lost answer gets what it asked for. */
export async function deleteKey(tx: Transaction, write: KvWrite): Promise<Response> {
  const before = await lockAndRead(tx, write);
  if (before.refusal !== undefined) return before.refusal;
  if (before.version !== undefined) tx.delete(kvKey(write.tenant, write.key));
  return new Response(null, { status: 204 });
}

interface Before {
  readonly version: string | undefined;
  readonly refusal?: Response;
}

/** The lock comes before the snapshot, so that writers of one key queue instead of undoing each other. */
async function lockAndRead(tx: Transaction, { tenant, key, preconditions }: KvWrite): Promise<Before> {
  const kept = kvKey(tenant, key);
  await tx.lock(kept);
  const version = (await tx.getEntry(kept))?.version;
  if (evaluate(preconditions, version) === 'passed') return { version };
  const found = version === undefined ? 'the key is absent' : 'the key is there, with a version that it excludes';
  return { version, refusal: problemResponse('precondition-failed', found) };
}
