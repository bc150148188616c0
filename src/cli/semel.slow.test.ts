import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { allChecks } from 'semel/check';
import { expect, onTestFinished, test } from 'vitest';

/** Of the profile. */
const ownChecks = 4;

const repository = join(import.meta.dirname, '..', '..');
const start = (script: string, ...words: readonly string[]) =>
  spawn(process.execPath, ['--conditions=semel-source', join(repository, script), ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });

test('semel check passes our own service in full, by the profile of its own contract, too', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'semel-check-'));
  // A key for each of two tenants, as `npm start -- api-key` makes them.
  const apiKeys = { ann: 'semel_ann', bob: 'semel_bob' };
  const entries = Object.entries(apiKeys).map(([tenant, apiKey]) => ({
    tenant,
    sha256: createHash('sha256').update(apiKey).digest('hex'),
  }));
  const keyFile = join(directory, 'api-keys.json');
  writeFileSync(keyFile, JSON.stringify(entries));
  const service = start(
    'service/src/main.ts',
    '--api-keys',
    keyFile,
    '--port',
    '0',
    '--data',
    join(directory, 'data'),
    '--log-level',
    'error',
  );
  onTestFinished(async () => {
    const exit = once(service, 'exit');
    service.kill('SIGKILL');
    await exit;
    rmSync(directory, { recursive: true });
  });
  const url = await addressOf(service.stdout);
  const brew = (apiKey: string, ...mutations: readonly unknown[]) =>
    fetch(`${url}/v1/transactions`, {
      method: 'POST',
      headers: { Authorization: `Bearer ${apiKey}`, 'Idempotency-Key': 'begin', 'Content-Type': 'application/json' },
      body: JSON.stringify({ mutations }),
    });
  for (const apiKey of Object.values(apiKeys)) {
    expect((await brew(apiKey, { set: { key: 'cups', value: 0 } })).status).toBe(200);
  }

  const cup = { add: { key: 'cups', by: 1 } };
  const request = join(directory, 'request.json');
  const otherBody = { mutations: [cup, { set: { key: 'sugar', value: true } }] };
  const failing = [{ body: { mutations: [{ add: { key: 'cups', by: 1, max: 0 } }] } }];
  writeFileSync(request, JSON.stringify({ body: { mutations: [cup], reads: ['cups'] }, otherBody, failing }));
  const tenants = [
    '--header',
    `Authorization: Bearer ${apiKeys.ann}`,
    '--other-tenant',
    `Authorization: Bearer ${apiKeys.bob}`,
  ];
  const count = ['--effect', `${url}/v1/kv/cups`, '--path', '$.value', '--late', '1'];
  const checker = start(
    'src/cli/semel.ts',
    'check',
    `${url}/v1/transactions`,
    '--request',
    request,
    ...count,
    ...tenants,
    '--profile',
    'semel',
  );
  const [printed, told] = await Promise.all([text(checker.stdout), text(checker.stderr), once(checker, 'exit')]);
  // The service refuses a query, has no other path or method that does what this one does, nor faults on request.
  const untried = [
    'mismatch-query',
    'mismatch-path',
    'mismatch-method',
    'other-endpoint',
    'fault-gone-acts-once',
    'fault-gone-succeeds',
    // Its keys are remembered for days.
    'expiry',
    // Nobody says how to restart it; semel-restart.slow.test.ts does.
    'restart-between',
    'killed-amid',
  ];
  const names = Array.from(printed.matchAll(/^not tried +(\S+)/gm), ([, name]) => name);
  expect(names, printed).toEqual(untried);
  const passed = allChecks.length + ownChecks - untried.length;
  expect(printed, told).toContain(`\n${passed} passed, 0 failed, ${untried.length} not tried\n`);
  expect(checker.exitCode).toBe(0);
});

test.for([
  [[], 2, ''],
  [['no-such'], 2, ''],
  [['--help'], 0, 'semel <command>'],
  [['check', '--help'], 0, 'semel check URL'],
] as const)('semel %j exits with %i', async ([words, status, begin]) => {
  const child = start('src/cli/semel.ts', ...words);
  const [printed] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  expect(child.exitCode).toBe(status);
  expect(printed.startsWith(begin)).toBe(true);
});

/** The one line that the service prints says where it listens. */
async function addressOf(stdout: NodeJS.ReadableStream): Promise<string> {
  let said = '';
  for await (const piece of stdout) {
    said += String(piece);
    const url = /listens on (\S+) with/.exec(said)?.[1];
    if (url !== undefined) return url;
  }
  throw new Error(`the service ended: ${said}`);
}
