import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { DirectoryLockedError } from '../../kv/errors.ts';
import { nodeDisk } from './node-disk.ts';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'semel-lock-'));
});

afterEach(() => rm(directory, { recursive: true }));

test('nodeDisk.lock names the process that has the directory, and is free once that is killed', async () => {
  const owner = spawn(process.execPath, ['--experimental-strip-types', '--input-type=module', '--eval', ownerProgram], {
    env: { ...process.env, SEMEL_TEST_DIRECTORY: directory },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const exited = once(owner, 'exit');
  await Promise.race([once(owner.stdout, 'data'), exited]);
  const disk = await nodeDisk(directory);
  const refused = await disk.lock().catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(DirectoryLockedError);
  expect(refused).toMatchObject({ owner: expect.stringContaining(`process ${owner.pid} on `) });
  owner.kill('SIGKILL');
  await exited;
  await (
    await disk.lock()
  )();
});

/** Takes the lock, says so, and lives until it is killed. */
const ownerProgram = `
  const { nodeDisk } = await import(${JSON.stringify(new URL('./node-disk.ts', import.meta.url).href)});
  await (await nodeDisk(process.env.SEMEL_TEST_DIRECTORY)).lock();
  console.log('locked');
  process.stdin.resume();
`;
