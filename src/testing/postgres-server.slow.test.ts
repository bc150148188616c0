import pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { startPostgres } from './postgres-server.harness.ts';

/** Its connection will break: `errors` is what it is told. */
async function connect(connectionString: string) {
  const client = new pg.Client({ connectionString });
  const errors: Error[] = [];
  client.on('error', (error) => errors.push(error));
  const ended = new Promise<void>((resolve) => client.once('end', () => resolve()));
  await client.connect();
  return { client, errors, ended };
}

/** Asks by a connection of its own. */
async function ask(connectionString: string, query: string): Promise<unknown> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    const { rows } = await client.query({ text: query, rowMode: 'array' });
    return rows[0]?.[0];
  } finally {
    await client.end();
  }
}

test('startPostgres starts a server with the settings that are asked for, and creates databases in it', async () => {
  const server = await startPostgres({ settings: { fsync: 'on', max_connections: '17' } });
  onTestFinished(() => server.stop());
  expect(await ask(server.url, 'SHOW fsync')).toBe('on');
  expect(await ask(server.url, 'SHOW max_connections')).toBe('17');
  const { port, user, password } = server;
  const database = new pg.Client({ host: '127.0.0.1', port, user, password, database: 'postgres' });
  await database.connect();
  await database.end();

  const name = 'a "shop" of łódź';
  const url = await server.createDatabase(name);
  expect(await ask(url, 'SELECT current_database()')).toBe(name);
  expect(await ask(server.url, 'SELECT current_database()')).toBe('postgres');
});

test('startPostgres answers a server whose kill ends all its processes, and which has what was committed after restart', async () => {
  const server = await startPostgres();
  onTestFinished(() => server.stop());
  await server.run('CREATE TABLE marks AS SELECT 1 AS mark');
  const { client, ended } = await connect(server.url);
  await client.query('BEGIN');
  await client.query('INSERT INTO marks VALUES (2)');
  const waiting = client.query('SELECT pg_sleep(600)');
  const lost = expect(waiting).rejects.toThrow(/ECONNRESET|terminated/);

  await server.kill();
  await Promise.all([lost, ended]);
  await expect(ask(server.url, 'SELECT 1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });

  // It would not start on data that a process of the last one still has in hand.
  await server.restart();
  expect(await ask(server.url, 'SELECT array_agg(mark) FROM marks')).toEqual([1]);
});

test('startPostgres answers a server that tells its clients when it restarts in order', async () => {
  const server = await startPostgres();
  onTestFinished(() => server.stop());
  const { errors, ended } = await connect(server.url);
  await server.restart();
  await ended;
  expect(errors[0]).toMatchObject({ code: '57P01' });
  expect(await ask(server.url, 'SELECT 1')).toBe(1);
});

test('startPostgres says why a server does not start', async () => {
  await expect(startPostgres({ settings: { no_such: 'on' } })).rejects.toThrow('unrecognized configuration parameter');
});
