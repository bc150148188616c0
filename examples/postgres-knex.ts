/**
 * An order is paid in credits of a table of your own, once, in the one transaction that records it; with Knex.
 *
 *     npx semel migrate --postgres postgres://localhost/scratch
 *     DATABASE_URL=postgres://localhost/scratch node examples/postgres-knex.ts
 */
import process from 'node:process';
import createKnex from 'knex';
import { fingerprint } from 'semel/idempotency';
import { createOperations } from 'semel/operations';
import { openStore } from 'semel/postgres';
import { knexConnector } from 'semel/postgres/knex';

interface Account {
  readonly name: string;
  readonly credits: number;
}

const knex = createKnex({ client: 'pg', connection: process.env['DATABASE_URL'] ?? '' });
await knex.raw('CREATE TABLE IF NOT EXISTS account (name text PRIMARY KEY, credits integer NOT NULL)');
await knex<Account>('account').insert({ name: 'ada', credits: 100 }).onConflict('name').merge();

const store = await openStore({ connector: knexConnector(knex) });
const operations = createOperations(store);

/** The same key is the same order, however often it comes. */
async function pay(account: string, key: string, credits: number): Promise<string> {
  const body = new TextEncoder().encode(JSON.stringify({ credits }));
  const request = { method: 'POST', path: '/orders', query: [], mediaType: 'application/json', body };
  const identity = { scope: account, key, fingerprint: fingerprint(request) };
  const outcome = await operations.run(identity, async (tx) => {
    const client = await tx.client();
    const [paid] = await client<Account>('account')
      .where({ name: account })
      .where('credits', '>=', credits)
      .decrement('credits', credits)
      .returning('*');
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
const ada = await knex<Account>('account').where({ name: 'ada' }).first();
console.log(`ada has ${ada?.credits} credits`);
await store.close();
await knex.destroy();
