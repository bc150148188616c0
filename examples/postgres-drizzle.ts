/**
 * An order is paid in credits of a table of your own, once, in the one transaction that records it; with Drizzle.
 *
 *     npx semel migrate --postgres postgres://localhost/scratch
 *     DATABASE_URL=postgres://localhost/scratch node examples/postgres-drizzle.ts
 */
import process from 'node:process';
import { and, eq, gte, sql } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { integer, pgTable, text } from 'drizzle-orm/pg-core';
import pg from 'pg';
import { fingerprint } from 'semel/idempotency';
import { createOperations } from 'semel/operations';
import { openStore } from 'semel/postgres';
import { drizzleConnector } from 'semel/postgres/drizzle';

const accounts = pgTable('account', { name: text().primaryKey(), credits: integer().notNull() });

const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'] });
const db = drizzle(pool);
await db.execute(sql`CREATE TABLE IF NOT EXISTS account (name text PRIMARY KEY, credits integer NOT NULL)`);
const ada100 = { name: 'ada', credits: 100 };
await db.insert(accounts).values(ada100).onConflictDoUpdate({ target: accounts.name, set: ada100 });

const store = await openStore({ connector: drizzleConnector(db) });
const operations = createOperations(store);

/** The same key is the same order, however often it comes. */
async function pay(account: string, key: string, credits: number): Promise<string> {
  const body = new TextEncoder().encode(JSON.stringify({ credits }));
  const request = { method: 'POST', path: '/orders', query: [], mediaType: 'application/json', body };
  const identity = { scope: account, key, fingerprint: fingerprint(request) };
  const outcome = await operations.run(identity, async (tx) => {
    const client = await tx.client();
    const [paid] = await client
      .update(accounts)
      .set({ credits: sql`${accounts.credits} - ${credits}` })
      .where(and(eq(accounts.name, account), gte(accounts.credits, credits)))
      .returning();
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
const [ada] = await db.select().from(accounts).where(eq(accounts.name, 'ada'));
console.log(`ada has ${ada?.credits} credits`);
await store.close();
await pool.end();
