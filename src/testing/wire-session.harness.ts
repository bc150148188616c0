import { execFileSync } from 'node:child_process';
import process from 'node:process';
import pg from 'pg';
import { onTestFinished } from 'vitest';
import type { PostgresServer } from './postgres-server.harness.ts';
import { startWire, type Wire } from './postgres-wire.harness.ts';

/** For one test. */
export async function openWire({ url }: PostgresServer): Promise<Wire> {
  const wire = await startWire(url);
  onTestFinished(() => wire.close());
  return wire;
}

/** Its connection may break: queries tell. */
export async function connect(connectionString: string, options: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ connectionString, ...options });
  client.on('error', () => undefined);
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

/** Where `once` of node:events would reject, since there is an error before the end. */
export function endOf(client: pg.Client): Promise<void> {
  return new Promise((resolve) => client.once('end', () => resolve()));
}

/** Resolves when the server's session waits for a lock. */
export async function waitsForLock({ url }: PostgresServer, query: string): Promise<void> {
  const observer = await connect(url);
  const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query = $1`;
  while ((await observer.query(waiting, [query])).rowCount === 0);
}

/** Lets this thread, and in it the wire and its clients, stand still until the server has answered the queries. */
export function standStillUntilAnswered({ url }: PostgresServer, ...queries: readonly string[]): void {
  const script = `
    const client = new (require('pg').Client)(process.env.DATABASE_URL);
    const answered = "SELECT FROM pg_stat_activity WHERE state = 'idle' AND query = ANY ($1)";
    const queries = process.argv.slice(1);
    client.connect().then(async () => {
      while ((await client.query(answered, [queries])).rowCount < queries.length);
      await client.end();
    });`;
  const env = { ...process.env, DATABASE_URL: url };
  execFileSync(process.execPath, ['-e', script, ...queries], { cwd: import.meta.dirname, env });
}
