import { LimitExceededError, type Transaction } from 'semel';
import { entryJson } from './entry-json.ts';
import { kvKey } from './kv-space.ts';
import { problemResponse } from './problem.ts';
import { serviceLimits } from './service-limits.ts';
import type { Mutation, TransactionRequest } from './transaction-request.ts';

/**
 * Executes a transaction in the open one: first the checks, then the mutations in their order, then the reads, which so
 * show what the transaction leaves. A 4xx answer tells the caller's idempotency to discard the writes.
 */
export async function executeTransaction(
  tx: Transaction,
  tenant: string,
  { checks, reads, mutations }: TransactionRequest,
): Promise<Response> {
  for (const [index, check] of checks.entries()) {
    const entry = await tx.getEntry(kvKey(tenant, check.key));
    if ((entry?.version ?? null) !== check.version) {
      const found = entry === undefined ? 'the key is absent' : 'the key is there, with another version';
      return problemResponse('check-failed', found, { pointer: `/checks/${index}`, index, key: check.key });
    }
  }
  for (const [index, mutation] of mutations.entries()) {
    const refusal = await mutate(tx, tenant, mutation);
    if (refusal !== undefined) {
      const where = { pointer: `/mutations/${index}`, index, key: mutation.key };
      return problemResponse('add-refused', refusalDetails[refusal], { ...where, reason: refusal });
    }
  }
  return answer(tx, tenant, reads);
}

type AddRefusal = keyof typeof refusalDetails;

const refusalDetails = {
  'below-min': 'the sum would be below min',
  'above-max': 'the sum would be above max',
  overflow: 'the sum would be beyond what its type can hold',
  'not-addable': 'the key holds no number that can be added to',
} as const;

async function mutate(tx: Transaction, tenant: string, mutation: Mutation): Promise<AddRefusal | undefined> {
  const key = kvKey(tenant, mutation.key);
  switch (mutation.kind) {
    case 'set':
      tx.set(key, mutation.value);
      return undefined;
    case 'delete':
      tx.delete(key);
      return undefined;
    case 'add': {
      const { by, min, max } = mutation;
      const bounds = { ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }) };
      const added = await tx.add(key, by, bounds);
      return added.outcome === 'ok' ? undefined : added.reason;
    }
  }
}

async function answer(tx: Transaction, tenant: string, reads: readonly string[]): Promise<Response> {
  const entries: string[] = [];
  let bytes = 0;
  for (const key of reads) {
    const entry = await tx.getEntry(kvKey(tenant, key));
    const json =
      entry === undefined
        ? JSON.stringify({ key, value: null, version: null })
        : entryJson(key, { value: entry.value, version: entry.version ?? tx.version });
    entries.push(json);
    bytes += Buffer.byteLength(json);
    const { transactionReadsBytesMax } = serviceLimits;
    // Thrown, so that nothing is kept: like anything else that is too large, it may be sent again when it is mended.
    if (bytes > transactionReadsBytesMax) {
      throw new LimitExceededError('transactionReadsBytesMax', transactionReadsBytesMax, bytes);
    }
  }
  const body = `{"version":${JSON.stringify(tx.version)},"reads":[${entries.join(',')}]}`;
  return new Response(body, { status: 200, headers: { 'content-type': 'application/json' } });
}
