import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { freePort } from './free-port.harness.ts';
import type { PostgresServer } from './postgres-server.harness.ts';
import { unprivileged } from './unprivileged.harness.ts';

export interface PgBouncer {
  readonly url: string;
  stop(): Promise<void>;
}

/** Few, so that clients have to take turns. */
const serverConnectionsMax = 2;

/**
 * A PgBouncer in transaction mode before `server`, on a port that was free, with at most two connections to each of its
 * databases, whose clients log in as at the server; `undefined` where there is no `pgbouncer`.
 *
 * Through that of Debian 12 (1.18) clients of `pg` may pipeline, transactions too, and several at once. They may not
 * prepare statements by name: such a statement is unknown to the other session (26000), and known already to another
 * client's (42P05); PgBouncer 1.21 was the first that keeps account of them. Nor may they connect with `options`
 * or `statement_timeout`, which PgBouncer refuses (08P01).
 */
export async function startPgBouncer(server: PostgresServer): Promise<PgBouncer | undefined> {
  const directory = await mkdtemp(join(tmpdir(), 'semel-pgbouncer-'));
  const { credentials, own } = unprivileged();
  const port = await freePort();
  const [settings, users] = [join(directory, 'pgbouncer.ini'), join(directory, 'users.txt')];
  const quoted = [server.user, server.password].map((word) => `"${word.replaceAll('"', '""')}"`);
  await writeFile(users, `${quoted.join(' ')}\n`, { mode: 0o600 });
  await writeFile(
    settings,
    [
      '[databases]',
      `* = host=127.0.0.1 port=${server.port}`,
      '[pgbouncer]',
      'listen_addr = 127.0.0.1',
      `listen_port = ${port}`,
      'unix_socket_dir =',
      'auth_type = scram-sha-256',
      `auth_file = ${users}`,
      'pool_mode = transaction',
      `default_pool_size = ${serverConnectionsMax}`,
      '',
    ].join('\n'),
  );
  for (const path of [directory, settings, users]) await own(path);

  // Debian has it among the programs of the administrator, which an ordinary user's path may lack.
  const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin` };
  const child = spawn('pgbouncer', [settings], { ...credentials, env, stdio: ['ignore', 'ignore', 'pipe'] });
  const killAtExit = (): void => void child.kill('SIGKILL');
  process.once('exit', killAtExit);
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const stop = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
    process.off('exit', killAtExit);
    await rm(directory, { recursive: true });
  };
  const beginning = await new Promise<'up' | 'absent' | Error>((resolve) => {
    let log = '';
    child.stderr.on('data', (piece: Buffer) => {
      log += String(piece);
      if (log.includes('process up')) resolve('up');
    });
    child.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ENOENT' ? 'absent' : error));
    child.once('close', () => resolve(new Error(`PgBouncer does not start:\n${log}`)));
  });
  if (beginning !== 'up') await stop();
  if (beginning === 'absent') return undefined;
  if (beginning !== 'up') throw beginning;
  const url = new URL(server.url);
  url.port = String(port);
  return { url: url.href, stop };
}

/** Where there is no PgBouncer a test shows as skipped, and says why; in continuous integration it fails instead. */
export function pgBouncerOrSkip(bouncer: PgBouncer | undefined, skip: (reason: string) => never): PgBouncer {
  if (bouncer !== undefined) return bouncer;
  const reason = 'no pgbouncer can be run here (apt-get install pgbouncer)';
  const warning = `NOT TRIED: nothing was tried through PgBouncer, since ${reason}`;
  if (process.env['CI'] !== undefined) throw new Error(warning);
  process.stderr.write(`${warning}\n`);
  return skip(reason);
}
