import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import pg from 'pg';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { type Answered, type SendOptions, sendTo } from '../../service/src/service-under-test.ts';
import { type PostgresServer, startPostgres } from '../../src/testing/postgres-server.harness.ts';

export interface ServiceOnPostgres {
  readonly url: string;
  readonly process: ChildProcess;
  /** What it has written to standard error so far. */
  readonly log: () => string;
  send(method: string, path: string, options?: SendOptions): Promise<Answered>;
  /** `kill -9`; resolves when it is dead. */
  kill(): Promise<void>;
}

export interface Database {
  /** The real service, as a process of its own, over this database. `name` is how PostgreSQL knows its connections. */
  readonly serve: (options: {
    readonly schema: string;
    readonly name?: string;
    /** Default: who owns the server. */
    readonly user?: { readonly name: string; readonly password: string };
  }) => Promise<ServiceOnPostgres>;
  readonly server: () => PostgresServer;
  /** Answers rows, on a connection of its own that is not the services'. */
  readonly rows: (text: string, values?: readonly unknown[]) => Promise<readonly Record<string, unknown>[]>;
  /** Asks again and again until there is a row. */
  readonly untilRow: (text: string, values?: readonly unknown[]) => Promise<void>;
}

/** One server for a test file. */
export function database(): Database {
  let server: PostgresServer | undefined;
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server?.stop());
  const running = (): PostgresServer => {
    if (server === undefined) throw new Error('the server is started before the tests');
    return server;
  };
  const rows: Database['rows'] = async (statement, values = []) => {
    const client = new pg.Client({ connectionString: running().url });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(statement, [...values])).rows;
    } finally {
      await client.end();
    }
  };
  return {
    server: running,
    rows,
    async untilRow(statement, values) {
      while ((await rows(statement, values)).length === 0);
    },
    async serve({ schema, name = 'service', user }) {
      const url = new URL(running().url);
      url.searchParams.set('application_name', name);
      if (user !== undefined) Object.assign(url, { username: user.name, password: user.password });
      const environment = { SEMEL_POSTGRES: url.href };
      const process_ = runService(['--port', '0', '--log-level', 'error', '--schema', schema], environment);
      let log = '';
      process_.stderr?.on('data', (piece) => (log += String(piece)));
      const line = await firstLine(process_);
      const address = /http:\/\/\S+/.exec(line)?.[0];
      if (address === undefined) throw new Error(`the service does not start: ${log}`);
      return {
        url: address,
        process: process_,
        log: () => log,
        send: (method, path, options) => sendTo(address, method, path, options),
        async kill() {
          const exit = once(process_, 'exit');
          process_.kill('SIGKILL');
          await exit;
        },
      };
    },
  };
}

const main = join(import.meta.dirname, '../../service/src/main.ts');

/** It is killed when its test is over. */
export function runService(args: readonly string[], environment: Readonly<Record<string, string>> = {}): ChildProcess {
  const process_ = spawn(process.execPath, ['--conditions=semel-source', main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
  onTestFinished(() => void process_.kill('SIGKILL'));
  return process_;
}

export async function endOf(process_: ChildProcess): Promise<{ exitCode: unknown; out: string; err: string }> {
  const { stdout, stderr } = process_;
  if (stdout === null || stderr === null) throw new Error('the process has no pipes');
  const [out, err, [exitCode]] = await Promise.all([text(stdout), text(stderr), once(process_, 'exit')]);
  return { exitCode, out, err };
}

async function firstLine({ stdout }: ChildProcess): Promise<string> {
  let out = '';
  for await (const piece of stdout ?? []) {
    out += String(piece);
    if (out.includes('\n')) break;
  }
  return out;
}
