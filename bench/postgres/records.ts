import pg from 'pg';
import { type Environment, realEnvironment } from '../../src/client/environment.ts';
import { uuidV7Source } from '../../src/client/uuid-v7.ts';
import { migrate } from 'semel/postgres';
import { keyBytes } from '../../src/engines/postgres/row.ts';
import type { Range } from '../../src/kv/key.ts';
import type { Store } from '../../src/kv/store.ts';
import { encodeRange } from '../../src/kv/tuple.ts';
import { defaultRetentionMs, defaultTombstoneMs, fingerprint, type Identity } from 'semel/idempotency';
import { type IdempotencyRecord, recordKey, writeRecord } from '../../src/layers/idempotency/record.ts';

export const scope = 'bench';

/** The records that are there already where nothing else is said: the index then has the depth of one that is in use. */
export const loadedRecords = 100_000;

/** What a client sends for a deposit. */
export function identityOf(key: string, account: number): Identity {
  const body = Buffer.from(JSON.stringify({ account }));
  const parts = { method: 'POST', path: '/deposits', query: [], mediaType: 'application/json', body };
  return { scope, key, fingerprint: fingerprint(parts) };
}

export interface Loaded {
  readonly identities: readonly Identity[];
  /** The end of the index in which the reaper looks for what is due. */
  readonly dueMax: number;
}

export interface LoadOptions {
  readonly count: number;
  /** How long ago the first and the last of them came about, in milliseconds. */
  readonly agesMs: readonly [first: number, last: number];
}

/** What operations would have left, if they had been run at some time in the past. Only the times are made up. */
export async function loadRecords(store: Store, { count, agesMs: [first, last] }: LoadOptions): Promise<Loaded> {
  const nowMs = realEnvironment.now();
  let createdAt = nowMs - first;
  const past: Environment = { ...realEnvironment, now: () => createdAt };
  const nextKey = uuidV7Source(past);
  const identities: Identity[] = [];
  while (identities.length < count) {
    await store.transact((tx) => {
      for (let left = Math.min(batch, count - identities.length); left > 0; left--) {
        createdAt = Math.floor(nowMs - first + ((first - last) * identities.length) / count);
        const identity = identityOf(nextKey(), identities.length);
        writeRecord(tx, identity, recordOf(identity, createdAt), undefined);
        identities.push(identity);
      }
    });
  }
  return { identities, dueMax: createdAt + defaultRetentionMs };
}

/** Within the limits of one transaction. */
const batch = 1_000;

function recordOf({ fingerprint }: Identity, createdAt: number): IdempotencyRecord {
  const expiresAt = createdAt + defaultRetentionMs;
  const tombstoneUntil = expiresAt + defaultTombstoneMs;
  const result = { account: 1, balance: '1' };
  return { state: 'complete', createdAt, completedAt: createdAt, expiresAt, tombstoneUntil, fingerprint, result };
}

/** The store's own table, seen from outside. */
export class RecordTable {
  readonly #client: pg.Client;

  private constructor(client: pg.Client) {
    this.#client = client;
  }

  static async open(url: string): Promise<RecordTable> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    return new RecordTable(client);
  }

  async createSchema(): Promise<void> {
    await migrate(this.#client);
  }

  /** So that neither the next autovacuum nor the next checkpoint has to do with what was loaded. */
  async settle(): Promise<void> {
    await this.#client.query('VACUUM ANALYZE semel.kv');
    await this.#client.query('CHECKPOINT');
  }

  async count(range: Range): Promise<number> {
    const [start, end] = boundsOf(range);
    const text = 'SELECT count(*)::int AS count FROM semel.kv WHERE key >= $1 AND key < $2';
    const { rows } = await this.#client.query<{ count: number }>(text, [start, end]);
    return rows[0]?.count ?? 0;
  }

  async remove(range: Range): Promise<void> {
    await this.#client.query('DELETE FROM semel.kv WHERE key >= $1 AND key < $2', [...boundsOf(range)]);
  }

  close(): Promise<void> {
    return this.#client.end();
  }
}

function boundsOf(range: Range): readonly [Buffer, Buffer | null] {
  const { start, end } = encodeRange(range);
  return [keyBytes(start), end === undefined ? null : keyBytes(end)];
}

/** The records and the index entries that have come since these were loaded: keys and times only grow. */
export function sinceLoaded({ identities, dueMax }: Loaded): { readonly records: Range; readonly due: Range } {
  const last = identities.at(-1);
  const records: Range = { prefix: ['idempotency', 'record', scope] };
  return {
    records: last === undefined ? records : { ...records, start: [...recordKey(last), ''] },
    due: { prefix: ['idempotency', 'due'], start: ['idempotency', 'due', dueMax + 1] },
  };
}
