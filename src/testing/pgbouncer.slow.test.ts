import pg from 'pg';
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest';
import { pgBouncerOrSkip, startPgBouncer, type PgBouncer } from './pgbouncer.harness.ts';
import { startPostgres, type PostgresServer } from './postgres-server.harness.ts';

let server: PostgresServer;
let bouncer: PgBouncer | undefined;
beforeAll(async () => {
  server = await startPostgres();
  bouncer = await startPgBouncer(server);
  await server.run('CREATE TABLE marks (mark integer NOT NULL)');
});
afterAll(async () => {
  await bouncer?.stop();
  await server.stop();
});

async function connect(connectionString: string, options: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ connectionString, ...options });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

test('startPgBouncer starts one through which a transaction takes effect, or none', async ({ skip }) => {
  const { url } = pgBouncerOrSkip(bouncer, skip);
  const [client, observer] = [await connect(url), await connect(server.url)];
  for (const end of ['ROLLBACK', 'COMMIT']) {
    await client.query('BEGIN');
    await client.query('INSERT INTO marks VALUES ($1)', [end.length]);
    expect((await observer.query('SELECT FROM marks')).rowCount).toBe(0);
    await client.query(end);
  }
  expect((await observer.query('SELECT mark FROM marks')).rows).toEqual([{ mark: 'COMMIT'.length }]);
});

test('startPgBouncer starts one that gives a client another session for its next transaction', async ({ skip }) => {
  const { url } = pgBouncerOrSkip(bouncer, skip);
  const [client, other] = [await connect(url), await connect(url)];
  const read = `SELECT pg_backend_pid() AS pid, current_setting('lock_timeout') AS timeout`;
  const session = async (one: pg.Client) => (await one.query<{ pid: number; timeout: string }>(read)).rows[0];
  await client.query(`SET lock_timeout = '7s'`);
  const first = await session(client);
  expect(first).toMatchObject({ timeout: '7s' });
  await other.query('BEGIN');
  expect(await session(other)).toEqual(first);
  const second = await session(client);
  expect(second?.timeout).toBe('0');
  expect(second?.pid).not.toBe(first?.pid);
  await other.query('COMMIT');
});

test('startPgBouncer starts one with two sessions, in which the pipelined transactions of many clients stay apart', async ({
  skip,
}) => {
  const { url } = pgBouncerOrSkip(bouncer, skip);
  const clients = await Promise.all(Array.from({ length: 6 }, () => connect(url, { pipeline: true })));
  const pids = new Set<number>();
  const read = 'SELECT pg_backend_pid() AS pid, pg_current_xact_id()::text AS transaction, $1::int AS own';
  for (let round = 0; round < 50; round++) {
    const asked = clients.flatMap((client, own) =>
      [0, 1].map(async () => {
        const [, one, other, end] = await Promise.all([
          client.query('BEGIN'),
          client.query<{ pid: number; own: number }>(read, [own]),
          client.query(read, [own]),
          client.query('COMMIT'),
        ]);
        expect(one.rows[0]?.own).toBe(own);
        expect(other.rows).toEqual(one.rows);
        expect(end.command).toBe('COMMIT');
        pids.add(one.rows[0]?.pid ?? 0);
      }),
    );
    await Promise.all(asked);
  }
  expect(pids.size).toBe(2);
});

test('pgBouncerOrSkip skips where there is none, but in continuous integration it fails', () => {
  onTestFinished(() => void vi.unstubAllEnvs());
  const skip = (reason?: string): never => {
    throw new Error(`skipped: ${reason}`);
  };
  vi.stubEnv('CI', undefined);
  expect(() => pgBouncerOrSkip(undefined, skip)).toThrow(/^skipped: .*apt-get install pgbouncer/);
  vi.stubEnv('CI', 'true');
  expect(() => pgBouncerOrSkip(undefined, skip)).toThrow(/^NOT TRIED: .*apt-get install pgbouncer/);
});
