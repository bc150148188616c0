import type { Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres, type PostgresServer } from './postgres-server.harness.ts';
import { startWire } from './postgres-wire.harness.ts';
import { connect, endOf, openWire, standStillUntilAnswered, waitsForLock } from './wire-session.harness.ts';

let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
  await server.run('CREATE TABLE marks (name text PRIMARY KEY)');
});
afterAll(() => server.stop());

async function marksLike(name: string): Promise<readonly string[]> {
  const observer = await connect(server.url);
  const { rows } = await observer.query<{ name: string }>('SELECT name FROM marks WHERE name LIKE $1', [`${name}%`]);
  return rows.map((row) => row.name);
}

/** Of a statement by itself: whether its effect is there when the client has lost its connection. */
const cuts = [
  ['cutBefore', []],
  ['cutMidway', ['there']],
  ['cutAfter', ['there']],
] as const;

describe.for(cuts)('%s', ([cut, there]) => {
  const insert = 'INSERT INTO marks VALUES ($1)';

  test.for([true, false])('strikes a statement once, with pipelining %s', async (pipeline) => {
    const wire = await openWire(server);
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
    const wire = await openWire(server);
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
    const wire = await openWire(server);
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
  const wire = await openWire(server);
  const [client, holder] = [await connect(wire.url), await connect(server.url)];
  await holder.query('BEGIN');
  await holder.query('LOCK TABLE marks');
  const insert = `INSERT INTO marks VALUES ('midway')`;
  const struck = wire.cutMidway(({ text }) => text === insert);
  await expect(client.query(insert)).rejects.toThrow(/ECONNRESET|terminated/);
  await waitsForLock(server, insert);
  await holder.query('COMMIT');
  await struck;
  expect(await marksLike('midway')).toEqual(['midway']);
});

test('cutAfter leaves the client waiting until the server has answered', async () => {
  const wire = await openWire(server);
  const [client, holder] = [await connect(wire.url), await connect(server.url)];
  await holder.query('BEGIN');
  await holder.query('LOCK TABLE marks');
  const insert = `INSERT INTO marks VALUES ('after')`;
  const struck = wire.cutAfter(({ text }) => text === insert);
  let isCut = false;
  client.once('end', () => (isCut = true));
  const lost = expect(client.query(insert)).rejects.toThrow(/ECONNRESET|terminated/);
  await waitsForLock(server, insert);
  expect(isCut).toBe(false);
  await holder.query('COMMIT');
  await Promise.all([lost, struck]);
  expect(await marksLike('after')).toEqual(['after']);
});

describe('pause', () => {
  test('lets nothing through, in either direction, until resume', async () => {
    const wire = await openWire(server);
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
    const wire = await openWire(server);
    const [client, other] = [await connect(wire.url), await connect(server.url)];
    const [connection] = wire.connections;
    let isAnswered = false;
    const query = client.query('SELECT 1 AS kept').then(() => (isAnswered = true));
    while (wire.statements.length === 0) await new Promise(setImmediate);
    // Both answers will be found in one turn of the event loop, the one to be kept first.
    const paused = other.query('SELECT 1 AS pausing').then(() => connection?.pause());
    standStillUntilAnswered(server, 'SELECT 1 AS kept', 'SELECT 1 AS pausing');
    await paused;
    await (await connect(wire.url)).query('SELECT 1');
    expect(isAnswered).toBe(false);
    connection?.resume();
    await query;
  });

  test('hides from the client that the server has ended its session', async () => {
    const wire = await openWire(server);
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
    const wire = await openWire(server);
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
