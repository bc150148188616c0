import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';

const repository = join(import.meta.dirname, '..', '..');

test('semel check passes our own service, which it kills again and again', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'semel-check-'));
  const pidFile = join(directory, 'pid');
  onTestFinished(() => {
    if (existsSync(pidFile)) process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL');
    rmSync(directory, { recursive: true });
  });
  const port = await freePort();
  const service = `'${process.execPath}' --conditions=semel-source '${join(repository, 'service/src/main.ts')}'`;
  // What a shell starts in the background, in its foreground: the shell's process becomes the service's.
  const command = `echo $$ >'${pidFile}'; exec ${service} --port ${port} --data '${directory}/data' --log-level error`;
  const first = spawn(command, { shell: true, detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  await once(first.stdout, 'data');
  const url = `http://127.0.0.1:${port}/v1`;
  const cup = { add: { key: 'cups', by: 1 } };
  const opened = await fetch(`${url}/transactions`, {
    method: 'POST',
    headers: { 'Idempotency-Key': 'open', 'Content-Type': 'application/json' },
    body: JSON.stringify({ mutations: [{ set: { key: 'cups', value: 0 } }] }),
  });
  expect(opened.status).toBe(200);
  const request = join(directory, 'request.json');
  writeFileSync(request, JSON.stringify({ body: { mutations: [cup], reads: ['cups'] } }));

  const words = ['check', `${url}/transactions`, '--request', request, '--effect', `${url}/kv/cups`];
  words.push('--path', '$.value', '--restart', command, '--pid', pidFile, '--quiet', '0.1');
  // semel.slow.test.ts tries the others.
  words.push('--only', 'restart-between,killed-amid');
  const checker = spawn(
    process.execPath,
    ['--conditions=semel-source', join(repository, 'src/cli/semel.ts'), ...words],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const [printed, told] = await Promise.all([text(checker.stdout), text(checker.stderr), once(checker, 'exit')]);
  expect(told).toContain(`restarts kills process ${first.pid}, or what ${pidFile} names by then, by SIGKILL, runs`);
  expect(printed, told).toContain('\n2 passed, 0 failed, 0 not tried\n');
  expect(printed).toContain('killed at 12 moments');
  expect(checker.exitCode).toBe(0);
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
