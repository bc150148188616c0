import assert from 'node:assert/strict';
import pg from 'pg';
import { uuidV7Source } from '../../../src/client/uuid-v7.ts';
import { realEnvironment } from '../../../src/client/environment.ts';
import { clientsMax, type Depositor, depositStatement } from '../deposits.ts';
import { loadedRecords } from '../records.ts';

const statements = {
  create: `CREATE TABLE idempotency (scope text, key text, fingerprint bytea NOT NULL, response jsonb,
    expires_at timestamptz NOT NULL, PRIMARY KEY (scope, key))`,
  index: 'CREATE INDEX ON idempotency (expires_at)',
  load: `INSERT INTO idempotency SELECT 'bench', 'loaded-' || n, sha256(n::text::bytea), '{"account":1,"balance":1}', now() + interval '72 hours'
    FROM generate_series(1, ${loadedRecords}) AS n`,
  vacuum: 'VACUUM ANALYZE idempotency',
  claim: `INSERT INTO idempotency (scope, key, fingerprint, expires_at) VALUES ('bench', $1, sha256($2), now() + interval '72 hours')
    ON CONFLICT DO NOTHING`,
  complete: `UPDATE idempotency SET response = $2 WHERE scope = 'bench' AND key = $1`,
  count: `SELECT count(*)::int AS count FROM idempotency WHERE response IS NOT NULL AND key NOT LIKE 'loaded-%'`,
};

/**
 * What the libraries do that keep their records apart from the effect: the claim is committed, then the effect, then what came of it. Each is
 * one statement, so that it takes no BEGIN and no COMMIT. A process that ends in between leaves a key that nobody can use, or an effect
 * that a retry has again.
 */
export async function threeCommits(url: string): Promise<Depositor> {
  const pool = new pg.Pool({ connectionString: url, max: clientsMax });
  for (const text of [statements.create, statements.index, statements.load, statements.vacuum]) await pool.query(text);
  const nextKey = uuidV7Source(realEnvironment);
  return {
    async deposit(account) {
      const key = nextKey();
      const claimed = await pool.query(statements.claim, [key, Buffer.from(JSON.stringify({ account }))]);
      assert.equal(claimed.rowCount, 1, 'a new key is free');
      const { rows } = await pool.query<{ balance: string }>(depositStatement, [account]);
      await pool.query(statements.complete, [key, { account, balance: rows[0]?.balance }]);
    },
    async records() {
      const { rows } = await pool.query<{ count: number }>(statements.count);
      return rows[0]?.count ?? 0;
    },
    close: () => pool.end(),
  };
}
