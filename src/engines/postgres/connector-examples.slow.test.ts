import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { testDatabase } from './postgres-store.harness.ts';

const database = testDatabase();
const repository = join(import.meta.dirname, '../../..');
const examples = join(repository, 'examples');
const run = promisify(execFile);

test.each([
  'postgres-pg.ts',
  'postgres-drizzle.ts',
  'postgres-kysely.ts',
  'postgres-knex.ts',
  'postgres-prisma/orders.ts',
])('examples/%s pays an order once, and refuses one for good, however often they come', async (example) => {
  const server = database.server();
  await server.run(`ALTER SCHEMA ${await database.newSchema()} RENAME TO semel`);
  onTestFinished(() => server.run('DROP SCHEMA semel CASCADE; DROP TABLE account'));
  const env = { ...process.env, DATABASE_URL: server.url };
  const program = dirname(example) === '.' ? join(examples, example) : await generated(example);
  const { stdout } = await run(process.execPath, ['--conditions=semel-source', program], { env });
  expect(stdout.trimEnd().split('\n')).toEqual([
    'order-1: ["executed",{"left":70}]',
    'order-1: ["replayed",{"left":70}]',
    'order-2: ["executed",{"refused":"not enough credits"}]',
    'order-2: ["replayed",{"refused":"not enough credits"}]',
    'ada has 70 credits',
  ]);
});

/** A copy beside the client that Prisma generates for it; its types are checked here, and by nothing else. */
async function generated(example: string): Promise<string> {
  // In the repository, where `semel` is this package, and as deep as the original.
  const scratch = await mkdtemp(join(repository, '.prisma-'));
  onTestFinished(() => rm(scratch, { recursive: true }));
  const directory = join(scratch, dirname(example));
  await cp(join(examples, dirname(example)), directory, { recursive: true });
  const modules = join(repository, 'node_modules');
  // It would be fetched, and is not used for this.
  const env = { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: process.execPath };
  const words = [join(modules, 'prisma/build/index.js'), 'generate', '--schema', join(directory, 'schema.prisma')];
  await run(process.execPath, words, { env, cwd: directory });
  await run(join(modules, '.bin/tsc'), ['-p', directory]);
  return join(directory, basename(example));
}
