import { execFile } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { startPostgres } from '../postgres-server.harness.ts';

const example = join(import.meta.dirname, '../../../examples/postgres-histories.ts');

test('examples/postgres-histories.ts tells what a real PostgreSQL shows at each level, and that it keeps each', async () => {
  const server = await startPostgres();
  onTestFinished(() => server.stop());
  const env = { ...process.env, DATABASE_URL: server.url };
  const { stdout } = await promisify(execFile)(process.execPath, ['--conditions=semel-source', example], { env });
  const told = stdout.split('\n').filter((line) => /^( {2})?\S/.test(line));
  expect(told).toEqual([
    'READ COMMITTED, held to read-committed',
    '  lost update: lost-update',
    '  read skew: G-single',
    '  write skew: G2-item',
    '  phantom: G2',
    expect.stringMatching(/^ {2}400 random transactions keep it, and show .*G-single.*lost-update/),
    'REPEATABLE READ, held to snapshot',
    '  lost update: nothing',
    '  read skew: nothing',
    '  write skew: G2-item',
    '  phantom: G2',
    // Which of the two forms of write skew they happen to meet in, if in any, is theirs.
    expect.stringMatching(/^ {2}400 random transactions keep it, and show (nothing|G2-item|G2|G2, G2-item)$/),
    'SERIALIZABLE, held to serializable',
    '  lost update: nothing',
    '  read skew: nothing',
    '  write skew: nothing',
    '  phantom: nothing',
    '  400 random transactions keep it, and show nothing',
  ]);
});
