import pg from 'pg';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { migrate, openStore, type PostgresOptions, type PostgresStore } from 'semel/postgres';
import { type PostgresServer, startPostgres } from '../../testing/postgres-server.harness.ts';

export interface TestDatabase {
  /** A store in a schema of its own; another one in the same schema where that is named. */
  readonly open: (options?: Omit<PostgresOptions, 'url'>) => Promise<PostgresStore>;
  readonly server: () => PostgresServer;
  readonly newSchema: () => Promise<string>;
}

/** One server for a test file. */
export function testDatabase(): TestDatabase {
  let server: PostgresServer | undefined;
  let admin: pg.Client | undefined;
  let schemas = 0;
  beforeAll(async () => {
    server = await startPostgres();
    admin = new pg.Client({ connectionString: server.url });
    await admin.connect();
  });
  afterAll(async () => {
    await admin?.end();
    await server?.stop();
  });
  const running = (): PostgresServer => {
    if (server === undefined) throw new Error('the server is started before the tests');
    return server;
  };
  const newSchema = async (): Promise<string> => {
    const schema = `test_${++schemas}`;
    if (admin !== undefined) await migrate(admin, { schema });
    return schema;
  };
  return {
    server: running,
    newSchema,
    async open(options = {}) {
      const schema = options.schema ?? (await newSchema());
      const store = await openStore(options.pool ? { ...options, schema } : { url: running().url, ...options, schema });
      onTestFinished(() => store.close());
      return store;
    },
  };
}
