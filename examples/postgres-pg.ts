/**
 * An order is paid in credits of a table of your own, once, in the one transaction that records it; with `pg`.
 *
 *     npx semel migrate --postgres postgres://localhost/scratch
 *     DATABASE_URL=postgres://localhost/scratch node examples/postgres-pg.ts
 */
import process from 'node:process';
import pg from 'pg';
import { fingerprint } from 'semel/idempotency';
import { createOperations } from 'semel/operations';
import { openStore } from 'semel/postgres';

const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'], pipeline: true });
await pool.query('CREATE TABLE IF NOT EXISTS account (name text PRIMARY KEY, credits integer NOT NULL)');
await pool.query("INSERT INTO account VALUES ('ada', 100) ON CONFLICT (name) DO UPDATE SET credits = 100");

const store = await openStore({ pool });
const operations = createOperations(store);

/** The same key is the same order, however often it comes. */
async function pay(account: string, key: string, credits: number): Promise<string> {
  const body = new TextEncoder().encode(JSON.stringify({ credits }));
  const request = { method: 'POST', path: '/orders', query: [], mediaType: 'application/json', body };
  const identity = { scope: account, key, fingerprint: fingerprint(request) };
  const outcome = await operations.run(identity, async (tx) => {
    const { rows } = await tx.sql<{ credits: number }>(
      'UPDATE account SET credits = credits - $2 WHERE name = $1 AND credits >= $2 RETURNING credits',
      [account, credits],
    );
    const [paid] = rows;
    if (paid === undefined) return { keep: 'record', result: { refused: 'not enough credits' } };
    return { keep: 'all', result: { left: paid.credits } };
  });
  return JSON.stringify('result' in outcome ? [outcome.outcome, outcome.result] : [outcome.outcome]);
}

for (const [key, credits] of [
  ['order-1', 30],
  ['order-1', 30],
  ['order-2', 300],
  ['order-2', 300],
] as const) {
  console.log(`${key}: ${await pay('ada', key, credits)}`);
}
const { rows } = await pool.query<{ credits: number }>("SELECT credits FROM account WHERE name = 'ada'");
console.log(`ada has ${rows[0]?.credits} credits`);
await store.close();
await pool.end();
