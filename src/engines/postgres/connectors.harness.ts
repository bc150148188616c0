import { execFile } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { PrismaPg } from '@prisma/adapter-pg';
import { sql } from 'drizzle-orm';
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres';
import { pgSchema, text } from 'drizzle-orm/pg-core';
import createKnex, { type Knex } from 'knex';
import { Kysely, PostgresDialect, sql as kyselySql, type Transaction } from 'kysely';
import pg from 'pg';
import { afterAll, beforeAll } from 'vitest';
import type { Connector } from 'semel/postgres';
import { drizzleConnector } from 'semel/postgres/drizzle';
import { knexConnector } from 'semel/postgres/knex';
import { kyselyConnector } from 'semel/postgres/kysely';
import { prismaConnector, type PrismaDatabase, type PrismaQueries } from 'semel/postgres/prisma';

/** An ORM with a table `sale (what text)` of its own in a schema. */
export interface OpenedOrm<Client> {
  readonly connector: Connector<Client>;
  insert(client: Client, what: string): PromiseLike<unknown>;
  /** As the ORM lets it through. */
  raw(client: Client, text: string): PromiseLike<unknown>;
  close(): Promise<void>;
}

export interface Orm<Client> {
  readonly name: string;
  open(url: string, schema: string): Promise<OpenedOrm<Client>>;
}

function newPool(url: string): pg.Pool {
  const pool = new pg.Pool({ connectionString: url, max: 20 });
  pool.on('error', () => undefined);
  return pool;
}

type DrizzleTransaction = Parameters<Parameters<NodePgDatabase['transaction']>[0]>[0];

const drizzleOrm = orm<DrizzleTransaction>('Drizzle', async (url, schema) => {
  const sale = pgSchema(schema).table('sale', { what: text() });
  const pool = newPool(url);
  const db = drizzle(pool);
  return {
    connector: drizzleConnector(db),
    insert: (tx, what) => tx.insert(sale).values({ what }),
    raw: (tx, statement) => tx.execute(sql.raw(statement)),
    close: () => pool.end(),
  };
});

interface Tables {
  sale: { what: string };
}

const kyselyOrm = orm<Transaction<Tables>>('Kysely', async (url, schema) => {
  const pool = newPool(url);
  pool.on('connect', (client) => client.on('error', () => undefined));
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  return {
    connector: kyselyConnector(db),
    insert: (trx, what) => trx.withSchema(schema).insertInto('sale').values({ what }).execute(),
    raw: (trx, statement) => kyselySql.raw(statement).execute(trx),
    close: () => db.destroy(),
  };
});

const knexOrm = orm<Knex.Transaction>('Knex', async (url, schema) => {
  const knex = createKnex({ client: 'pg', connection: url, pool: { min: 0, max: 20 } });
  return {
    connector: knexConnector(knex),
    insert: (trx, what) => trx('sale').withSchema(schema).insert({ what }),
    raw: (trx, statement) => trx.raw(statement),
    close: () => knex.destroy(),
  };
});

interface PrismaTransaction extends PrismaQueries {
  readonly sale: { create(options: { data: { what: string } }): PromiseLike<unknown> };
}

/** The test file's: each test opens them, and knows none of their types. */
export function useOrms(): readonly Orm<unknown>[] {
  let directory: string | undefined;
  let generated: Generated | undefined;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'semel-prisma-'));
    generated = await generatePrismaClient(directory);
  });
  afterAll(async () => directory && rm(directory, { recursive: true }));
  const prismaOrm = orm<PrismaTransaction>('Prisma', async (url, schema) => {
    if (generated === undefined) throw new Error('the client is generated before the tests');
    const adapter = new PrismaPg({ connectionString: url, max: 20 }, { schema });
    const prisma = new generated.PrismaClient({ adapter });
    return {
      connector: prismaConnector<PrismaTransaction>(prisma),
      insert: (tx, what) => tx.sale.create({ data: { what } }),
      raw: (tx, statement) => tx.$executeRawUnsafe(statement),
      close: () => prisma.$disconnect(),
    };
  });
  return [drizzleOrm, kyselyOrm, knexOrm, prismaOrm];
}

function orm<Client>(name: string, open: Orm<Client>['open']): Orm<Client> {
  return { name, open };
}

interface Generated {
  readonly PrismaClient: new (options: { adapter: PrismaPg }) => PrismaDatabase<PrismaTransaction> & {
    $disconnect(): Promise<void>;
  };
}

/** Prisma makes its client of a schema. */
async function generatePrismaClient(directory: string): Promise<Generated> {
  const modules = join(import.meta.dirname, '../../../node_modules');
  await symlink(modules, join(directory, 'node_modules'));
  const schema = join(directory, 'schema.prisma');
  await writeFile(
    schema,
    `generator client {
      provider = "prisma-client-js"
      output   = "./client"
    }
    datasource db {
      provider = "postgresql"
    }
    model sale {
      what String @id
    }`,
  );
  // It would be fetched, and is not used for this.
  const env = { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath };
  const words = [join(modules, 'prisma/build/index.js'), 'generate', '--schema', schema];
  await promisify(execFile)(process.execPath, words, { env, cwd: directory });
  return createRequire(join(directory, 'program.js'))('./client') as Generated;
}
