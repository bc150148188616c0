import type pg from 'pg';
import { openStore } from 'semel/postgres';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type PostgresServer, startPostgres } from '../../testing/postgres-server.harness.ts';
import { createDatabase, createRole } from './database.harness.ts';
import { migrate, requireSchema } from './migrate.ts';
import { migrations } from './migrations.ts';

const latest = migrations.length;
let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

/** As "Schema and rights" of docs/postgres.md has it. */
async function rolesOf(): Promise<{
  readonly owner: pg.Client;
  readonly runner: pg.Client;
  readonly runnerUrl: string;
  readonly reader: pg.Client;
}> {
  const database = await createDatabase(server);
  const [migrating, running, reading] = [await createRole(server), await createRole(server), await createRole(server)];
  await server.run(`grant create on database ${database.name} to ${migrating}`);
  const owner = await database.connect({ role: migrating });
  await migrate(owner);
  await owner.query(`
    grant usage on schema semel to ${running}, ${reading};
    grant select, insert, update, delete on semel.kv to ${running};
    grant update on semel.lock_gate to ${running};
    grant select on semel.migration, semel.operations to ${running};
    grant select on semel.operations to ${reading};
  `);
  return {
    owner,
    runner: await database.connect({ role: running }),
    runnerUrl: database.url(running),
    reader: await database.connect({ role: reading }),
  };
}

test('migrate needs the right to create in the database, or to own an empty schema of this name', async () => {
  const database = await createDatabase(server);
  const role = await createRole(server);
  const client = await database.connect({ role });
  await expect(migrate(client)).rejects.toMatchObject({ code: '42501' });
  const admin = await database.connect();
  await admin.query(`create schema semel authorization ${role}`);
  expect(await migrate(client)).toEqual({ from: 0, to: latest });
});

test('requireSchema, and migrate where nothing is to be done, need no more than the role that runs has', async () => {
  const { runner } = await rolesOf();
  await requireSchema(runner, 'semel');
  expect(await migrate(runner)).toEqual({ from: latest, to: latest });
});

test('The role that runs reads and writes entries, takes locks, and sees the operations', async () => {
  const { runner } = await rolesOf();
  await runner.query('begin isolation level serializable');
  await runner.query("select pg_try_advisory_xact_lock(semel.operation_lock('acme', 'order-7'))");
  await runner.query("insert into semel.kv values ('\\x01', '\\x00', gen_random_uuid())");
  await runner.query("update semel.kv set value = '\\x01' where key = '\\x01'");
  const { rows } = await runner.query(
    `select state, lock = semel.operation_lock('acme', 'order-7') as mine, created_at is not null as since from semel.operations`,
  );
  expect(rows).toEqual([{ state: 'in-progress', mine: true, since: true }]);
  await runner.query("delete from semel.kv where key = '\\x01'");
  await runner.query('commit');
});

test('The role that runs opens a store, which reads, writes, and locks keys and ranges', async () => {
  const { runnerUrl } = await rolesOf();
  const store = await openStore({ url: runnerUrl });
  onTestFinished(() => store.close());
  await store.transact(async (tx) => {
    await tx.lock(['account', 'ada']);
    tx.set(['account', 'ada'], 1n);
    await tx.add(['account', 'bob'], 2n);
  });
  for (const mode of ['shared', 'exclusive'] as const) {
    await store.transact(async (tx) => {
      await tx.lock({ prefix: ['account'] }, { mode });
      const entries = await Array.fromAsync(tx.scan({ prefix: ['account'] }), ({ key, value }) => [key[1], value]);
      expect(entries).toEqual([
        ['ada', 1n],
        ['bob', 2n],
      ]);
    });
  }
  await store.transact((tx) => tx.delete(['account', 'ada']));
  expect(await store.read((tx) => tx.get(['account', 'ada']))).toBeUndefined();
});

test('The role that runs can neither drop nor alter, nor tell a version that is not there', async () => {
  const { runner } = await rolesOf();
  for (const statement of [
    'drop table semel.kv',
    'truncate semel.kv',
    'alter table semel.kv add column more int',
    'drop view semel.operations',
    'drop schema semel cascade',
    'create table semel.more ()',
    'create schema more',
    'create or replace function semel.record_key(scope text, key text) returns bytea return key::bytea',
    "insert into semel.migration values (99, 'mine')",
    'delete from semel.migration',
  ]) {
    await expect(runner.query(statement), statement).rejects.toMatchObject({ code: '42501' });
  }
});

test('A role with the view alone sees operations without results and who executes them, but not since when', async () => {
  const { runner, reader } = await rolesOf();
  await runner.query('begin');
  const { rows: running } = await runner.query('select pg_backend_pid() as pid, pg_try_advisory_xact_lock(7)');
  const { rows } = await reader.query('select state, pid, created_at from semel.operations');
  expect(rows).toEqual([{ state: 'in-progress', pid: running[0]?.pid, created_at: null }]);
  await runner.query('rollback');
  await expect(reader.query('select value from semel.kv')).rejects.toMatchObject({ code: '42501' });
  await expect(requireSchema(reader, 'semel')).rejects.toMatchObject({ code: '42501' });
});
