import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import process from 'node:process';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { startPostgres, type PostgresServer } from './postgres-server.harness.ts';
import { startWire, type Wire } from './postgres-wire.harness.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
  await server.run('CREATE TABLE marks (name text PRIMARY KEY)');
});
afterAll(() => server.stop());

async function openWire(): Promise<Wire> {
  const wire = await startWire(server.url);
  onTestFinished(() => wire.close());
  return wire;
}

/** Its connection may break: queries tell. */
async function connect(connectionString: string, options: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ connectionString, ...options });
  client.on('error', () => undefined);
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

function endOf(client: pg.Client): Promise<void> {
  return new Promise((resolve) => client.once('end', () => resolve()));
}

async function marksLike(name: string): Promise<readonly string[]> {
  const observer = await connect(server.url);
  const { rows } = await observer.query<{ name: string }>('SELECT name FROM marks WHERE name LIKE $1', [`${name}%`]);
  return rows.map((row) => row.name);
}

/** Resolves when the server's session waits for a lock. */
async function waitsForLock(query: string): Promise<void> {
  const observer = await connect(server.url);
  const waiting = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query = $1`;
  while ((await observer.query(waiting, [query])).rowCount === 0);
}

/** Lets this thread, and in it the wire and its clients, stand still until the server has answered the queries. */
function standStillUntilAnswered(...queries: readonly string[]): void {
  const script = `
    const client = new (require('pg').Client)(process.env.DATABASE_URL);
    const answered = "SELECT FROM pg_stat_activity WHERE state = 'idle' AND query = ANY ($1)";
    const queries = process.argv.slice(1);
    client.connect().then(async () => {
      while ((await client.query(answered, [queries])).rowCount < queries.length);
      await client.end();
    });`;
  const env = { ...process.env, DATABASE_URL: server.url };
  execFileSync(process.execPath, ['-e', script, ...queries], { cwd: import.meta.dirname, env });
}

const transaction = ['BEGIN', 'SELECT 1', 'COMMIT'];

describe('startWire counts', () => {
  test('a round trip for each statement that is awaited before the next', async () => {
    const wire = await openWire();
    const client = await connect(wire.url);
    expect(wire.roundTrips).toBe(0);
    for (const statement of transaction) await client.query(statement);
    expect(wire.roundTrips).toBe(3);
  });

  test('one for all that a pipelining client sends at once, however often', async () => {
    const wire = await openWire();
    const client = await connect(wire.url, { pipeline: true });
    for (let round = 1; round <= 200; round++) {
      const results = await Promise.all([
        client.query('BEGIN'),
        client.query('SELECT $1::int AS sum', [round]),
        client.query({ name: 'twice', text: 'SELECT 2 * $1::int AS product', values: [round] }),
        client.query('COMMIT'),
      ]);
      expect(results.map(({ command, rows }) => [command, ...rows])).toEqual([
        ['BEGIN'],
        ['SELECT', { sum: round }],
        ['SELECT', { product: 2 * round }],
        ['COMMIT'],
      ]);
      expect(wire.roundTrips).toBe(round);
    }
  });

  test('one for what is sent before the client has any answer, though the server has given one', async () => {
    const wire = await openWire();
    const [client, other] = [await connect(wire.url, { pipeline: true }), await connect(server.url)];
    const first = client.query('SELECT 1 AS first');
    while (wire.statements.length === 0) await new Promise(setImmediate);
    // Both answers will be found in one turn of the event loop, in which the second query is sent.
    const second = other.query('SELECT 1 AS other').then(() => client.query('SELECT 2'));
    standStillUntilAnswered('SELECT 1 AS first', 'SELECT 1 AS other');
    await Promise.all([first, second]);
    expect(wire.roundTrips).toBe(1);
  });

  test('one for what is sent before the client has any answer, though half of it comes late', async () => {
    const wire = await openWire();
    const client = await connect(wire.url, { pipeline: true });
    let isAnswered = false;
    const first = client.query('SELECT 1').then(() => (isAnswered = true));
    const { stream } = client.connection;
    const write = stream.write.bind(stream);
    let late = Buffer.alloc(0);
    stream.write = (bytes: Buffer) => {
      late = bytes.subarray(3);
      return write(bytes.subarray(0, 3));
    };
    const second = client.query('SELECT 2');
    stream.write = write;
    await (await connect(wire.url)).query('SELECT 3');
    expect(isAnswered).toBe(false);
    write(late);
    await Promise.all([first, second]);
    expect(wire.connections[0]?.roundTrips).toBe(1);
  });

  test('one for each that a client without pipelining keeps in its queue', async () => {
    const wire = await openWire();
    const client = await connect(wire.url);
    await Promise.all(transaction.map((statement) => client.query(statement)));
    expect(wire.roundTrips).toBe(3);
  });

  test('another for what is sent after an answer, though more were asked for', async () => {
    const wire = await openWire();
    const client = await connect(wire.url, { pipeline: true });
    const after = client.query('SELECT 1').then(() => client.query('SELECT 3'));
    await Promise.all([after, client.query('SELECT 2')]);
    expect(wire.roundTrips).toBe(2);
  });

  test('one for a pipeline that fails halfway, and its later statements are answered', async () => {
    const wire = await openWire();
    const client = await connect(wire.url, { pipeline: true });
    const statements = ['BEGIN', 'SELECT $1::int / 0', 'SELECT $1::int', 'COMMIT'];
    const settled = await Promise.allSettled(
      statements.map((text) => client.query(text, text.includes('$1') ? [1] : undefined)),
    );
    expect(settled).toMatchObject([
      { value: { command: 'BEGIN' } },
      { reason: { code: '22012' } },
      { reason: { code: '25P02' } },
      { value: { command: 'ROLLBACK' } },
    ]);
    expect(wire.roundTrips).toBe(1);
  });

  test('one for each page of rows that is flushed, and one for the Sync', async () => {
    const wire = await openWire();
    const client = await connect(wire.url);
    const page = { text: 'SELECT generate_series(1, 5) AS n', rows: 2 };
    const { rows } = await client.query<{ n: number }>(page);
    expect(rows.map(({ n }) => n)).toEqual([1, 2, 3, 4, 5]);
    expect(wire.roundTrips).toBe(4);
  });

  test('one for a page of rows that fails, and passes the error on without a Sync', async () => {
    const wire = await openWire();
    const client = await connect(wire.url);
    const page = { text: 'SELECT 1 / 0', rows: 2 };
    await expect(client.query(page)).rejects.toMatchObject({ code: '22012' });
    expect(wire.roundTrips).toBe(1);
  });

  test('as one what is asked for while an earlier statement waits, and passes all answers on together', async () => {
    const wire = await openWire();
    const [client, holder] = [await connect(wire.url, { pipeline: true }), await connect(server.url)];
    await holder.query('SELECT pg_advisory_lock(1)');
    const answered: number[] = [];
    const statements = ['SELECT 1', 'SELECT pg_advisory_xact_lock(1)', 'SELECT 3'];
    const asked = Promise.all(
      statements.map((text, index) => client.query(text).then(() => void answered.push(index))),
    );
    await waitsForLock('SELECT pg_advisory_xact_lock(1)');
    const last = client.query('SELECT 4');
    expect(answered).toEqual([]);
    await holder.query('SELECT pg_advisory_unlock(1)');
    await Promise.all([asked, last]);
    expect(wire.roundTrips).toBe(1);
  });

  test('each connection by itself, from the mark on', async () => {
    const wire = await openWire();
    const [one, other] = [await connect(wire.url), await connect(wire.url)];
    await one.query('SELECT 1');
    wire.mark();
    expect([wire.roundTrips, wire.statements]).toEqual([0, []]);
    await other.query('SELECT 2');
    await one.query('SELECT 3');
    await other.query('SELECT 4');
    expect(wire.connections.map(({ roundTrips }) => roundTrips)).toEqual([1, 2]);
    expect(wire.connections.map(({ statements }) => statements.map(({ text }) => text))).toEqual([
      ['SELECT 3'],
      ['SELECT 2', 'SELECT 4'],
    ]);
    expect(wire.statements.map(({ text }) => text)).toEqual(['SELECT 2', 'SELECT 3', 'SELECT 4']);
  });
});

test('startWire writes down each statement in its order with the number of its values, prepared ones whenever they run', async () => {
  const wire = await openWire();
  const client = await connect(wire.url);
  const sum = { name: 'sum', text: 'SELECT $1::int + $2::int AS "łącznie"' };
  await client.query('BEGIN');
  await client.query({ ...sum, values: [1, 2] });
  await client.query('SELECT $1::text', [null]);
  await client.query({ ...sum, values: [3, 4] });
  await client.query('COMMIT');
  expect(wire.statements).toEqual([
    { text: 'BEGIN', parameterCount: 0 },
    { text: sum.text, parameterCount: 2 },
    { text: 'SELECT $1::text', parameterCount: 1 },
    { text: sum.text, parameterCount: 2 },
    { text: 'COMMIT', parameterCount: 0 },
  ]);
});

test('startWire passes on rows of any size, and why the server ends a session', async () => {
  const wire = await openWire();
  const client = await connect(wire.url);
  const letters = 'ab'.repeat(5_000_000);
  const { rows } = await client.query<{ length: number; letters: string }>(
    'SELECT length($1) AS length, $1 AS letters',
    [letters],
  );
  expect(rows[0]?.length).toBe(letters.length);
  expect(rows[0]?.letters === letters).toBe(true);
  const ended = once(client, 'error');
  await expect(client.query('SELECT pg_terminate_backend(pg_backend_pid())')).rejects.toMatchObject({ code: '57P01' });
  await ended;
});

test('startWire answers who asks for encryption that there is none', async () => {
  const wire = await openWire();
  const client = new pg.Client({ connectionString: wire.url, ssl: true });
  await expect(client.connect()).rejects.toThrow('does not support SSL');
});

/** Of a statement by itself: whether its effect is there when the client has lost its connection. */
const cuts = [
  ['cutBefore', []],
  ['cutMidway', ['there']],
  ['cutAfter', ['there']],
] as const;

describe.for(cuts)('%s', ([cut, there]) => {
  const insert = 'INSERT INTO marks VALUES ($1)';

  test.for([true, false])('strikes a statement once, with pipelining %s', async (pipeline) => {
    const wire = await openWire();
    const client = await connect(wire.url, { pipeline });
    const name = `${cut} ${pipeline} `;
    const struck = wire[cut](({ text }) => text === insert);
    await client.query('SELECT 1');
    await expect(client.query(insert, [`${name}there`])).rejects.toThrow(/ECONNRESET|terminated/);
    await struck;
    expect(await marksLike(name)).toEqual(there.map((end) => name + end));
    await (await connect(wire.url)).query(insert, [`${name}once`]);
    expect(await marksLike(name)).toHaveLength(there.length + 1);
  });

  test('strikes a statement that was prepared long before', async () => {
    const wire = await openWire();
    const client = await connect(wire.url);
    const name = `${cut} prepared `;
    const prepared = { name: 'insert', text: insert };
    await client.query({ ...prepared, values: [`${name}earlier`] });
    const struck = wire[cut](({ text }) => text === insert);
    await expect(client.query({ ...prepared, values: [`${name}there`] })).rejects.toThrow(/ECONNRESET|terminated/);
    await struck;
    expect(await marksLike(name)).toEqual(['earlier', ...there].map((end) => name + end));
  });

  test.for([true, false])('strikes a COMMIT, which has then been done or not, with pipelining %s', async (pipeline) => {
    const wire = await openWire();
    const client = await connect(wire.url, { pipeline });
    const name = `${cut} COMMIT ${pipeline} `;
    const struck = wire[cut](({ text }) => text === 'COMMIT');
    const statements = [
      client.query('BEGIN'),
      client.query(insert, [`${name}there`]),
      client.query('COMMIT'),
      client.query(insert, [`${name}later`]),
    ];
    const settled = await Promise.allSettled(statements);
    expect(settled.at(2)).toMatchObject({ reason: { message: expect.stringMatching(/ECONNRESET|terminated/) } });
    await struck;
    expect(await marksLike(name)).toEqual(there.map((end) => name + end));
  });

  test('that struck nothing is told of when the wire is closed', async () => {
    const wire = await startWire(server.url);
    void wire[cut](({ text }) => text === insert);
    const client = await connect(wire.url);
    await client.query('SELECT 1');
    await expect(wire.close()).rejects.toThrow('1 cuts struck nothing');
  });
});

test('cutMidway leaves the server to its work when the client is gone', async () => {
  const wire = await openWire();
  const [client, holder] = [await connect(wire.url), await connect(server.url)];
  await holder.query('BEGIN');
  await holder.query('LOCK TABLE marks');
  const insert = `INSERT INTO marks VALUES ('midway')`;
  const struck = wire.cutMidway(({ text }) => text === insert);
  await expect(client.query(insert)).rejects.toThrow(/ECONNRESET|terminated/);
  await waitsForLock(insert);
  await holder.query('COMMIT');
  await struck;
  expect(await marksLike('midway')).toEqual(['midway']);
});

test('cutAfter leaves the client waiting until the server has answered', async () => {
  const wire = await openWire();
  const [client, holder] = [await connect(wire.url), await connect(server.url)];
  await holder.query('BEGIN');
  await holder.query('LOCK TABLE marks');
  const insert = `INSERT INTO marks VALUES ('after')`;
  const struck = wire.cutAfter(({ text }) => text === insert);
  let isCut = false;
  client.once('end', () => (isCut = true));
  const lost = expect(client.query(insert)).rejects.toThrow(/ECONNRESET|terminated/);
  await waitsForLock(insert);
  expect(isCut).toBe(false);
  await holder.query('COMMIT');
  await Promise.all([lost, struck]);
  expect(await marksLike('after')).toEqual(['after']);
});

describe('pause', () => {
  test('lets nothing through, in either direction, until resume', async () => {
    const wire = await openWire();
    const client = await connect(wire.url);
    const [connection] = wire.connections;
    const insert = `INSERT INTO marks VALUES ('paused')`;
    connection?.pause();
    let isAnswered = false;
    const query = client.query(insert).then(() => (isAnswered = true));
    // Another through the same wire, meanwhile, has its answer.
    await (await connect(wire.url)).query('SELECT 1');
    expect([isAnswered, await marksLike('paused')]).toEqual([false, []]);
    connection?.resume();
    await query;
    expect(await marksLike('paused')).toEqual(['paused']);
  });

  test('keeps an answer back that was under way', async () => {
    const wire = await openWire();
    const [client, other] = [await connect(wire.url), await connect(server.url)];
    const [connection] = wire.connections;
    let isAnswered = false;
    const query = client.query('SELECT 1 AS kept').then(() => (isAnswered = true));
    while (wire.statements.length === 0) await new Promise(setImmediate);
    // Both answers will be found in one turn of the event loop, the one to be kept first.
    const paused = other.query('SELECT 1 AS pausing').then(() => connection?.pause());
    standStillUntilAnswered('SELECT 1 AS kept', 'SELECT 1 AS pausing');
    await paused;
    await (await connect(wire.url)).query('SELECT 1');
    expect(isAnswered).toBe(false);
    connection?.resume();
    await query;
  });

  test('hides from the client that the server has ended its session', async () => {
    const wire = await openWire();
    const [client, observer] = [await connect(wire.url), await connect(server.url)];
    const [connection] = wire.connections;
    const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const errors: Error[] = [];
    client.on('error', (error) => errors.push(error));
    const ended = endOf(client);
    connection?.pause();
    await observer.query('SELECT pg_terminate_backend($1, 60000)', [rows[0]?.pid]);
    await (await connect(wire.url)).query('SELECT 1');
    expect(errors).toEqual([]);
    connection?.resume();
    await ended;
    expect(errors[0]).toMatchObject({ code: '57P01' });
  });

  test.for(['end', 'reset'] as const)('hides from the server the %s of the client, and its locks stay', async (how) => {
    const wire = await openWire();
    const [client, observer] = [await connect(wire.url), await connect(server.url)];
    const [connection] = wire.connections;
    const isFree = async (): Promise<unknown> =>
      (await observer.query('SELECT pg_try_advisory_xact_lock(3) AS free')).rows[0]?.free;
    await client.query('BEGIN');
    await client.query('SELECT pg_advisory_xact_lock(3)');
    connection?.pause();
    const ended = endOf(client);
    if (how === 'end') void client.end();
    else (client.connection.stream as Socket).resetAndDestroy();
    await (await connect(wire.url)).query('SELECT 1');
    expect(await isFree()).toBe(false);
    connection?.resume();
    await Promise.all([ended, connection?.ended]);
    expect(await isFree()).toBe(true);
  });
});
