import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { check, countByGet, describeTarget, restartBy, type CheckOptions, type Report } from 'semel/check';
import { onTestFinished } from 'vitest';
import { pause, realEnvironment } from '../../client/environment.ts';
import { limits } from './check-shop.harness.ts';

export interface DyingShop {
  readonly url: string;
  readonly count: string;
  readonly pidFile: string;
  /** For a shell: starts it in the background. */
  readonly command: string;
}

/** A shop in a process of its own, until the test is over. `how` is one of the ways of shop-process.harness.ts. */
export async function startShop(how: string): Promise<DyingShop> {
  const directory = mkdtempSync(join(tmpdir(), 'semel-shop-'));
  const pidFile = join(directory, 'pid');
  const port = await freePort();
  const program = join(import.meta.dirname, 'shop-process.harness.ts');
  const words = [process.execPath, '--no-warnings', program, port, join(directory, 'shop.db'), pidFile, how];
  const command = `${words.map((word) => `'${word}'`).join(' ')} >/dev/null 2>&1 &`;
  onTestFinished(() => {
    killByFile(pidFile);
    rmSync(directory, { recursive: true });
  });
  await once(spawn(command, { shell: true, stdio: 'ignore' }), 'exit');
  const url = `http://127.0.0.1:${port}`;
  for (;;) {
    const isUp = await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isUp) return { url: `${url}/orders`, count: `${url}/count`, pidFile, command };
    await pause(realEnvironment, 10, new AbortController().signal);
  }
}

/** Kills the shop and starts it again, as often as the checks want. */
export async function checkDyingShop(how: string, options: CheckOptions = {}, path = '$.orders'): Promise<Report> {
  const shop = await startShop(how);
  const restart = restartBy({ command: shop.command, pid: shop.pidFile });
  return checkStarted(shop, { restart, ...options }, path);
}

export async function checkStarted(
  { url, count }: DyingShop,
  options: CheckOptions,
  path = '$.orders',
): Promise<Report> {
  return check(describeTarget(url, { body: { item: 'tea', cups: 2 } }), {
    effect: countByGet(count, path),
    only: ['sequential-duplicates', 'concurrent-duplicates', 'restart-between', 'killed-amid'],
    ...options,
    limits: { ...limits, settleMsMax: 1_500, ...options.limits },
  });
}

/** Who listens there meanwhile is somebody else's test, of which there is none on this machine that takes a port by its number. */
async function freePort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return String(port);
}

function killByFile(pidFile: string): void {
  try {
    process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGKILL');
  } catch {
    // It did not come to writing the file, or is gone already.
  }
}

export interface WrongDyingShop {
  readonly how: string;
  readonly foundBy: readonly string[];
}

export const wrongDyingShops: readonly WrongDyingShop[] = [
  { how: 'memory-only records', foundBy: ['restart-between', 'killed-amid'] },
  { how: 'record after effect', foundBy: ['killed-amid'] },
  { how: 'answer before commit', foundBy: ['killed-amid'] },
  { how: 'claims of the dead', foundBy: ['killed-amid'] },
];
