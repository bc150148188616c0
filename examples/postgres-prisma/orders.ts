/**
 * An order is paid in credits of a table of your own, once, in the one transaction that records it; with Prisma.
 *
 *     npx semel migrate --postgres postgres://localhost/scratch
 *     npx prisma generate --schema examples/postgres-prisma/schema.prisma
 *     DATABASE_URL=postgres://localhost/scratch node examples/postgres-prisma/orders.ts
 */
import process from 'node:process';
import { PrismaPg } from '@prisma/adapter-pg';
import { fingerprint } from 'semel/idempotency';
import { createOperations } from 'semel/operations';
import { openStore } from 'semel/postgres';
import { prismaConnector } from 'semel/postgres/prisma';
import { PrismaClient } from './generated/client.ts';

const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: process.env['DATABASE_URL'] ?? '' }) });
await prisma.$executeRaw`CREATE TABLE IF NOT EXISTS account (name text PRIMARY KEY, credits integer NOT NULL)`;
const ada100 = { name: 'ada', credits: 100 };
await prisma.account.upsert({ where: { name: 'ada' }, create: ada100, update: ada100 });

const store = await openStore({ connector: prismaConnector(prisma) });
const operations = createOperations(store);

/** The same key is the same order, however often it comes. */
async function pay(account: string, key: string, credits: number): Promise<string> {
  const body = new TextEncoder().encode(JSON.stringify({ credits }));
  const request = { method: 'POST', path: '/orders', query: [], mediaType: 'application/json', body };
  const identity = { scope: account, key, fingerprint: fingerprint(request) };
  const outcome = await operations.run(identity, async (tx) => {
    const client = await tx.client();
    const [paid] = await client.account.updateManyAndReturn({
      where: { name: account, credits: { gte: credits } },
      data: { credits: { decrement: credits } },
    });
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
const ada = await prisma.account.findUnique({ where: { name: 'ada' } });
console.log(`ada has ${ada?.credits} credits`);
await store.close();
await prisma.$disconnect();
