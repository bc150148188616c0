import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { database, endOf, runService } from './services.harness.ts';

const { serve, server, rows } = database();

const secret = 'WRONG-SECRET';

test.for([
  ['a wrong password', { password: secret }, 'user and the password'],
  ['a database that is not there', { pathname: '/nowhere' }, 'Create the database'],
  ['a port where nobody listens', { port: '9' }, 'whether the server runs'],
] as const)('startService on %s says what to do in one line, without the password', async ([, change, advice]) => {
  const address = String(Object.assign(new URL(server().url), change));
  const { exitCode, out, err } = await endOf(runService(['--port', '0'], { SEMEL_POSTGRES: address }));
  expect([exitCode, out]).toEqual([1, '']);
  expect(err).toMatch(/^semel cannot start: .*\n$/);
  expect(err).toContain(advice);
  const { password } = new URL(address);
  for (const spelled of [password, decodeURIComponent(password)]) expect(err).not.toContain(spelled);
});

test('startService on PostgreSQL tells its place without user and password, and has the metrics that docs/service.md says', async () => {
  const { send, process: process_, log } = await serve({ schema: 'place' });
  expect((await send('PUT', '/v1/kv/a', { body: 1 })).status).toBe(201);
  const { text } = await send('GET', '/metrics');
  const exposed = [...text.matchAll(/^# HELP (\S+) /gm)].map(([, name]) => name);
  const page = readFileSync(join(import.meta.dirname, '../../docs/service.md'), 'utf8');
  const [, everywhere = ''] = /`\/metrics`, for Prometheus:\n\n([^]*?)\n\n/.exec(page) ?? [];
  const listed = [...everywhere.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name]) => name);
  expect(new Set(exposed)).toEqual(new Set(listed));
  expect(log()).toBe('');
  process_.kill('SIGTERM');
});

test('startService makes the schema where the role may, and asks for no right to do it where it is there', async () => {
  const schema = 'migrated';
  await (await serve({ schema })).kill();
  await server().run(`CREATE ROLE shop LOGIN PASSWORD 'sesame';
    GRANT USAGE ON SCHEMA ${schema} TO shop;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ${schema}.kv TO shop;
    GRANT UPDATE ON ${schema}.lock_gate TO shop;
    GRANT SELECT ON ${schema}.migration TO shop`);
  const user = { name: 'shop', password: 'sesame' };
  const { send } = await serve({ schema, user });
  const put = await send('PUT', '/v1/kv/a', { body: 1, headers: { 'idempotency-key': 'one' } });
  expect([put.status, put.headers.get('idempotency-outcome')]).toEqual([201, 'executed']);
  await expect(serve({ schema: 'elsewhere', user })).rejects.toThrow('permission denied');
});

test('startService refuses a schema that a newer one has made, and leaves it as it is', async () => {
  const schema = 'newer';
  await (await serve({ schema })).kill();
  await server().run(`INSERT INTO ${schema}.migration (version, name) VALUES (9999, 'of the future')`);
  await expect(serve({ schema })).rejects.toThrow('update semel');
  expect(await rows(`SELECT max(version) FROM ${schema}.migration`)).toEqual([{ max: 9999 }]);
});
