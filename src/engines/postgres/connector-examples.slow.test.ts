import { execFile } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { testDatabase } from './postgres-store.harness.ts';

const database = testDatabase();
const examples = join(import.meta.dirname, '../../../examples');

test.each(['pg', 'drizzle', 'kysely', 'knex'])(
  'examples/postgres-%s.ts pays an order once, and refuses one for good, however often they come',
  async (name) => {
    const { run, url } = database.server();
    await run(`ALTER SCHEMA ${await database.newSchema()} RENAME TO semel`);
    onTestFinished(() => run('DROP SCHEMA semel CASCADE; DROP TABLE account'));
    const env = { ...process.env, DATABASE_URL: url };
    const words = ['--conditions=semel-source', join(examples, `postgres-${name}.ts`)];
    const { stdout } = await promisify(execFile)(process.execPath, words, { env });
    expect(stdout.trimEnd().split('\n')).toEqual([
      'order-1: ["executed",{"left":70}]',
      'order-1: ["replayed",{"left":70}]',
      'order-2: ["executed",{"refused":"not enough credits"}]',
      'order-2: ["replayed",{"refused":"not enough credits"}]',
      'ada has 70 credits',
    ]);
  },
);
