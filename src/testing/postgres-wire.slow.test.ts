import { once } from 'node:events';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres, type PostgresServer } from './postgres-server.harness.ts';
import { connect, openWire, standStillUntilAnswered, waitsForLock } from './wire-session.harness.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

const transaction = ['BEGIN', 'SELECT 1', 'COMMIT'];

describe('startWire counts', () => {
  test('a round trip for each statement that is awaited before the next', async () => {
    const wire = await openWire(server);
    const client = await connect(wire.url);
    expect(wire.roundTrips).toBe(0);
    for (const statement of transaction) await client.query(statement);
    expect(wire.roundTrips).toBe(3);
  });

  test('one for all that a pipelining client sends at once, however often', async () => {
    const wire = await openWire(server);
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
    const wire = await openWire(server);
    const [client, other] = [await connect(wire.url, { pipeline: true }), await connect(server.url)];
    const first = client.query('SELECT 1 AS first');
    while (wire.statements.length === 0) await new Promise(setImmediate);
    // Both answers will be found in one turn of the event loop, in which the second query is sent.
    const second = other.query('SELECT 1 AS other').then(() => client.query('SELECT 2'));
    standStillUntilAnswered(server, 'SELECT 1 AS first', 'SELECT 1 AS other');
    await Promise.all([first, second]);
    expect(wire.roundTrips).toBe(1);
  });

  test('one for what is sent before the client has any answer, though half of it comes late', async () => {
    const wire = await openWire(server);
    const client = await connect(wire.url, { pipeline: true });
    let isAnswered = false;
    const first = client.query('SELECT 1').then(() => (isAnswered = true));
    const { stream } = client.connection;
    const write = stream.write.bind(stream);
    let late: Buffer = Buffer.alloc(0);
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
    const wire = await openWire(server);
    const client = await connect(wire.url);
    await Promise.all(transaction.map((statement) => client.query(statement)));
    expect(wire.roundTrips).toBe(3);
  });

  test('another for what is sent after an answer, though more were asked for', async () => {
    const wire = await openWire(server);
    const client = await connect(wire.url, { pipeline: true });
    const after = client.query('SELECT 1').then(() => client.query('SELECT 3'));
    await Promise.all([after, client.query('SELECT 2')]);
    expect(wire.roundTrips).toBe(2);
  });

  test('one for a pipeline that fails halfway, and its later statements are answered', async () => {
    const wire = await openWire(server);
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
    const wire = await openWire(server);
    const client = await connect(wire.url);
    const page = { text: 'SELECT generate_series(1, 5) AS n', rows: 2 };
    const { rows } = await client.query<{ n: number }>(page);
    expect(rows.map(({ n }) => n)).toEqual([1, 2, 3, 4, 5]);
    expect(wire.roundTrips).toBe(4);
  });

  test('one for a page of rows that fails, and passes the error on without a Sync', async () => {
    const wire = await openWire(server);
    const client = await connect(wire.url);
    const page = { text: 'SELECT 1 / 0', rows: 2 };
    await expect(client.query(page)).rejects.toMatchObject({ code: '22012' });
    expect(wire.roundTrips).toBe(1);
  });

  test('as one what is asked for while an earlier statement waits, and passes all answers on together', async () => {
    const wire = await openWire(server);
    const [client, holder] = [await connect(wire.url, { pipeline: true }), await connect(server.url)];
    await holder.query('SELECT pg_advisory_lock(1)');
    const answered: number[] = [];
    const statements = ['SELECT 1', 'SELECT pg_advisory_xact_lock(1)', 'SELECT 3'];
    const asked = Promise.all(
      statements.map((text, index) => client.query(text).then(() => void answered.push(index))),
    );
    await waitsForLock(server, 'SELECT pg_advisory_xact_lock(1)');
    const last = client.query('SELECT 4');
    expect(answered).toEqual([]);
    await holder.query('SELECT pg_advisory_unlock(1)');
    await Promise.all([asked, last]);
    expect(wire.roundTrips).toBe(1);
  });

  test('each connection by itself, from the mark on', async () => {
    const wire = await openWire(server);
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
  const wire = await openWire(server);
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
  const wire = await openWire(server);
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
  const wire = await openWire(server);
  const client = new pg.Client({ connectionString: wire.url, ssl: true });
  await expect(client.connect()).rejects.toThrow('does not support SSL');
});
