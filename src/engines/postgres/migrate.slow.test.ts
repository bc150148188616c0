import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type PostgresServer, startPostgres } from '../../testing/postgres-server.harness.ts';
import { InvalidArgumentError } from '../../kv/errors.ts';
import { createDatabase } from './database.harness.ts';
import { migrate, migrationsSql, requireSchema } from './migrate.ts';
import { migrations } from './migrations.ts';
import { SchemaMissingError, SchemaNewerError, SchemaOutdatedError } from './schema-errors.ts';

const latest = migrations.length;
let server: PostgresServer;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(() => server.stop());

/** What is in the schema, by kind and name. */
async function contentOf(client: pg.Client, schema: string): Promise<readonly string[]> {
  const { rows } = await client.query<{ what: string }>(
    `select concat(relkind, ' ', relname) as what from pg_class where relnamespace = to_regnamespace($1)
     union all select 'function ' || proname from pg_proc where pronamespace = to_regnamespace($1) order by 1`,
    [schema],
  );
  return rows.map(({ what }) => what);
}

async function appliedIn(client: pg.Client, schema: string): Promise<readonly unknown[]> {
  return (await client.query(`select version, name from "${schema}".migration order by version`)).rows;
}

const everyMigration = migrations.map(({ version, name }) => ({ version, name }));

describe('migrate', () => {
  test('migrate makes the schema, notes each migration, and has nothing to do afterwards', async () => {
    const client = await (await createDatabase(server)).connect();
    expect(await migrate(client)).toEqual({ from: 0, to: latest });
    expect(await appliedIn(client, 'semel')).toEqual(everyMigration);
    await requireSchema(client, 'semel');
    const content = await contentOf(client, 'semel');
    expect(content).toContain('r kv');
    expect(await migrate(client)).toEqual({ from: latest, to: latest });
    expect(await contentOf(client, 'semel')).toEqual(content);
  });

  test('migrate goes on from each version that was once the latest', async () => {
    for (const { version } of migrations.slice(0, -1)) {
      const client = await (await createDatabase(server)).connect();
      await client.query(sqlUpTo(version));
      expect(await migrate(client)).toEqual({ from: version, to: latest });
      expect(await appliedIn(client, 'semel')).toEqual(everyMigration);
    }
  });

  test('migrate keeps schemas of one database apart, one that a keyword names among them', async () => {
    const client = await (await createDatabase(server)).connect();
    expect(await migrate(client, { schema: 'user' })).toEqual({ from: 0, to: latest });
    expect(await migrate(client, { schema: 's'.repeat(40) })).toEqual({ from: 0, to: latest });
    await expect(requireSchema(client, 'semel')).rejects.toThrow(SchemaMissingError);
    expect(await contentOf(client, 'user')).toEqual(await contentOf(client, 's'.repeat(40)));
  });

  test.for(['', 'Semel', '7', 'a-b', 'a.b', 'a"; drop table t; --', 's'.repeat(41), 7])(
    'migrate, requireSchema and migrationsSql refuse %j as the name of a schema',
    async (name) => {
      const client = { query: () => Promise.reject(new Error('it was asked')) };
      const schema = name as string;
      await expect(migrate(client, { schema })).rejects.toThrow(InvalidArgumentError);
      await expect(requireSchema(client, schema)).rejects.toThrow(InvalidArgumentError);
      expect(() => migrationsSql(schema)).toThrow(InvalidArgumentError);
    },
  );

  test('migrate runs in eight connections at once, and one of them does it', async () => {
    const database = await createDatabase(server);
    const clients = await Promise.all(
      // Whatever isolation the database has set, a connection that waited sees what the first one did.
      Array.from({ length: 8 }, (_, index) =>
        database.connect({
          pipeline: index % 2 === 0,
          options: '-c default_transaction_isolation=serializable -c default_transaction_read_only=on',
        }),
      ),
    );
    const outcomes = await Promise.all(clients.map((client) => migrate(client)));
    expect(outcomes.map(({ to }) => to)).toEqual(clients.map(() => latest));
    expect(outcomes.filter(({ from }) => from === 0)).toHaveLength(1);
    expect(outcomes.filter(({ from }) => from === latest)).toHaveLength(7);
  });

  test('migrate does all or nothing, wherever it fails', async () => {
    for (let failing = 1; ; failing++) {
      const client = await (await createDatabase(server)).connect();
      let queries = 0;
      const failsOnce = {
        query: (text: string) => client.query(++queries === failing ? 'select 1 / 0' : text),
      };
      const outcome = await migrate(failsOnce).catch((error: unknown) => error);
      if (queries < failing) break;
      expect(outcome).toMatchObject({ code: '22012' });
      expect(await contentOf(client, 'semel')).toEqual([]);
      expect(await migrate(client)).toEqual({ from: 0, to: latest });
    }
  });

  test('migrate gives up on a lock that another does not let go, and leaves the connection without a transaction', async () => {
    const database = await createDatabase(server);
    const [client, other] = [await database.connect(), await database.connect()];
    await other.query(migrationsSql('semel').replace(/^commit;$/m, ''));
    await expect(migrate(client)).rejects.toMatchObject({ code: '55P03' });
    await other.query('commit');
    expect(await migrate(client)).toEqual({ from: latest, to: latest });
  });

  test('migrate waits for nobody and stops nobody where nothing is to be done', async () => {
    const database = await createDatabase(server);
    const [client, writer] = [await database.connect(), await database.connect()];
    await migrate(client);
    // Another migration, which has not ended, and a writer.
    await writer.query(migrationsSql('other').replace(/^commit;$/m, ''));
    await writer.query('lock table semel.kv, semel.migration in exclusive mode');
    expect(await migrate(client)).toEqual({ from: latest, to: latest });
    await requireSchema(client, 'semel');
  });

  test('migrate makes a table of which a twentieth may be dead, and whose vacuum locks nobody out', async () => {
    const client = await (await createDatabase(server)).connect();
    await migrate(client);
    const { rows } = await client.query("select reloptions from pg_class where oid = 'semel.kv'::regclass");
    expect(rows).toEqual([{ reloptions: ['autovacuum_vacuum_scale_factor=0.05', 'vacuum_truncate=false'] }]);
  });
});

describe('requireSchema', () => {
  test('requireSchema tells a schema that is missing, even where another of this name is, from one that is too old or too new', async () => {
    const client = await (await createDatabase(server)).connect();
    await expect(requireSchema(client, 'semel')).rejects.toThrow(SchemaMissingError);
    await client.query('create schema semel');
    await expect(requireSchema(client, 'semel')).rejects.toMatchObject({
      code: 'schema-missing',
      message: expect.stringContaining('semel migrate --postgres URL --schema semel'),
    });
    await client.query(sqlUpTo(1));
    const outdated = requireSchema(client, 'semel');
    await expect(outdated).rejects.toThrow(SchemaOutdatedError);
    await expect(outdated).rejects.toMatchObject({ code: 'schema-outdated', found: 1, needed: latest });
    await migrate(client);
    await client.query(`insert into semel.migration values (${latest + 1}, 'of the future')`);
    const newer = requireSchema(client, 'semel');
    await expect(newer).rejects.toThrow(SchemaNewerError);
    await expect(newer).rejects.toMatchObject({
      code: 'schema-newer',
      found: latest + 1,
      known: latest,
      message: expect.stringContaining('update semel'),
    });
    await expect(migrate(client)).rejects.toThrow(SchemaNewerError);
  });

  test('requireSchema takes one round trip', async () => {
    const client = await (await createDatabase(server)).connect();
    await migrate(client);
    const asked: string[] = [];
    const counting = {
      query: (text: string) => {
        asked.push(text);
        return client.query(text);
      },
    };
    await requireSchema(counting, 'semel');
    expect(asked).toHaveLength(1);
    await expect(requireSchema(counting, 'other')).rejects.toThrow(SchemaMissingError);
    expect(asked).toHaveLength(2);
  });
});

describe('migrationsSql', () => {
  test('migrationsSql, run as it is, leaves migrate nothing to do, and fails as a whole when it is run again', async () => {
    const client = await (await createDatabase(server)).connect();
    await client.query(migrationsSql('semel'));
    expect(await migrate(client)).toEqual({ from: latest, to: latest });
    const content = await contentOf(client, 'semel');
    await expect(client.query(migrationsSql('semel'))).rejects.toMatchObject({ code: '42P07' });
    await client.query('rollback');
    expect(await contentOf(client, 'semel')).toEqual(content);
    expect(await appliedIn(client, 'semel')).toEqual(everyMigration);
  });

  test('migrationsSql goes on from a version, and is empty for the latest', async () => {
    const client = await (await createDatabase(server)).connect();
    await client.query(sqlUpTo(1));
    await client.query(migrationsSql('semel', 1));
    expect(await migrate(client)).toEqual({ from: latest, to: latest });
    expect(migrationsSql('semel', latest)).toBe('');
  });

  test('migrationsSql has the migrations by their numbers, from 1 without gaps', () => {
    expect(migrations.map(({ version }) => version)).toEqual(migrations.map((_, index) => index + 1));
    expect(new Set(migrations.map(({ name }) => name)).size).toBe(latest);
  });
});

/** What a Semel whose latest version was this one did to an empty database. */
function sqlUpTo(version: number): string {
  return migrations
    .slice(0, version)
    .map((one) => `${one.sql('semel')} insert into semel.migration values (${one.version}, '${one.name}');`)
    .join('\n');
}
