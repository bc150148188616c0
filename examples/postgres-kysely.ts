/**
 * An order is paid in credits of a table of your own, once, in the one transaction that records it; with Kysely.
 *
 *     npx semel migrate --postgres postgres://localhost/scratch
 *     DATABASE_URL=postgres://localhost/scratch node examples/postgres-kysely.ts
 */
import process from 'node:process';
import { Kysely, PostgresDialect, sql } from 'kysely';
import pg from 'pg';
import { fingerprint } from 'semel/idempotency';
import { createOperations } from 'semel/operations';
import { openStore } from 'semel/postgres';
import { kyselyConnector } from 'semel/postgres/kysely';

interface Tables {
  account: { name: string; credits: number };
}

const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'] });
// Kysely does not listen to the connections that it takes, and one that breaks unheard ends the process.
pool.on('connect', (client) => client.on('error', () => undefined));
const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
await sql`CREATE TABLE IF NOT EXISTS account (name text PRIMARY KEY, credits integer NOT NULL)`.execute(db);
const ada100 = { name: 'ada', credits: 100 };
await db
  .insertInto('account')
  .values(ada100)
  .onConflict((conflict) => conflict.column('name').doUpdateSet(ada100))
  .execute();

const store = await openStore({ connector: kyselyConnector(db) });
const operations = createOperations(store);

/** The same key is the same order, however often it comes. */
async function pay(account: string, key: string, credits: number): Promise<string> {
  const body = new TextEncoder().encode(JSON.stringify({ credits }));
  const request = { method: 'POST', path: '/orders', query: [], mediaType: 'application/json', body };
  const identity = { scope: account, key, fingerprint: fingerprint(request) };
  const outcome = await operations.run(identity, async (tx) => {
    const client = await tx.client();
    const paid = await client
      .updateTable('account')
      .set(({ eb }) => ({ credits: eb('credits', '-', credits) }))
      .where('name', '=', account)
      .where('credits', '>=', credits)
      .returningAll()
      .executeTakeFirst();
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
const ada = await db.selectFrom('account').selectAll().where('name', '=', 'ada').executeTakeFirst();
console.log(`ada has ${ada?.credits} credits`);
await store.close();
await db.destroy();
