import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type PostgresServer, startPostgres } from '../testing/postgres-server.harness.ts';
import { createDatabase, createRole } from '../engines/postgres/database.harness.ts';
import { migrate, migrationsSql } from '../engines/postgres/migrate.ts';
import { migrations } from '../engines/postgres/migrations.ts';
import { semel } from './store/store-process.harness.ts';

const latest = migrations.length;
let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

test('semel migrate makes the schema, and says what it did', async () => {
  const database = await createDatabase(server);
  expect(await semel(['migrate', '--postgres', database.url()])).toEqual({
    status: 0,
    printed: '',
    told: `schema semel: from version 0 to ${latest}\n`,
  });
  expect(await semel(['migrate', '--postgres', database.url()])).toEqual({
    status: 0,
    printed: '',
    told: `schema semel has version ${latest}; nothing is to be done\n`,
  });
  await semel(['migrate', '--postgres', database.url(), '--schema', 'other']);
  const client = await database.connect();
  for (const schema of ['semel', 'other']) expect(await migrate(client, { schema })).toMatchObject({ from: latest });
});

test('semel migrate --print changes nothing and prints what is missing: all without a database, nothing where it is there', async () => {
  const database = await createDatabase(server);
  const all = { status: 0, printed: migrationsSql('semel'), told: '' };
  expect(await semel(['migrate', '--print'])).toEqual(all);
  expect(await semel(['migrate', '--print', '--postgres', database.url()])).toEqual(all);
  const client = await database.connect();
  await client.query(all.printed);
  expect(await semel(['migrate', '--print', '--postgres', database.url()])).toEqual({
    status: 0,
    printed: '',
    told: `schema semel has version ${latest}; nothing is to be done\n`,
  });
});

test('semel migrate says what is wrong, never with the password, with 2 where it could not begin', async () => {
  const database = await createDatabase(server);
  const url = database.url();
  const other = (change: (url: URL) => void): string => {
    const address = new URL(url);
    address.password = 'hunter2';
    change(address);
    return address.href;
  };
  for (const [words, reason] of [
    [[], 'which database? --postgres takes its URL'],
    [['--postgres', 'hunter2'], 'is none such as postgres://USER:PASSWORD@HOST/NAME'],
    [['--postgres', 'mysql://ann:hunter2@127.0.0.1/shop'], 'is none such as postgres://'],
    [['--postgres', 'postgres://ann:hunter2/@127.0.0.1/shop'], '%2F, %3F and %23'],
    [[url], 'the URL follows --postgres'],
    [['--url', 'postgres://ann:hunter2@127.0.0.1/shop'], `Unknown option '--url'`],
    [['--postgres', url, '--schema', 'Semel'], 'schema is "Semel"; expected 1 to 40 of'],
    [['--postgres', other(() => undefined)], 'password authentication failed for user "ann"'],
    [['--postgres', url.replace(/[^/]+$/, 'no_such')], 'database "no_such" does not exist'],
    [['--postgres', other((address) => (address.port = '1'))], 'ECONNREFUSED'],
    [['--postgres', other((address) => (address.hostname = 'no-such.invalid'))], 'no-such.invalid'],
  ] as const) {
    const { status, printed, told } = await semel(['migrate', ...words]);
    expect(told).toContain(reason);
    expect(told).not.toMatch(/hunter2|sesame/);
    expect([status, printed], told).toEqual([2, '']);
  }
  const client = await database.connect();
  expect((await client.query("select from pg_namespace where nspname = 'semel'")).rows).toEqual([]);
});

test('semel migrate says which right is missing, and that a newer schema needs a newer semel, with 1', async () => {
  const database = await createDatabase(server);
  const role = await createRole(server);
  const refused = await semel(['migrate', '--postgres', database.url(role)]);
  expect(refused.told).toContain('the role lacks a right: permission denied for database');
  expect(refused.told).toContain('docs/postgres.md');
  expect(refused.told).not.toContain('sesame');
  expect(refused.status).toBe(1);
  const client = await database.connect();
  await migrate(client);
  await client.query("insert into semel.migration values (99, 'of the future')");
  for (const words of [[], ['--print']]) {
    const newer = await semel(['migrate', '--postgres', database.url(), ...words]);
    expect(newer.told).toContain('has version 99');
    expect(newer.told).toContain('update semel');
    expect([newer.status, newer.printed]).toEqual([1, '']);
  }
});

test('semel migrate gives up, with 2, on a server that takes the connection and answers nothing', async () => {
  const silent = createServer();
  const sockets: Socket[] = [];
  silent.on('connection', (socket) => sockets.push(socket));
  await once(silent.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  const { port } = silent.address() as AddressInfo;
  const { status, told } = await semel(['migrate', '--postgres', `postgres://ann:hunter2@127.0.0.1:${port}/shop`]);
  expect(told).toContain('no connection: no answer within 10000 ms');
  expect(told).not.toContain('hunter2');
  expect(status).toBe(2);
});

test('semel migrate --help names its options', async () => {
  const { status, printed } = await semel(['migrate', '--help']);
  for (const option of ['--postgres', '--schema', '--print']) expect(printed).toContain(option);
  expect(status).toBe(0);
});
