/// <reference path="./dbos.d.ts" />
import { DBOS } from '@dbos-inc/dbos-sdk';
import { PostgresDataSource } from '@dbos-inc/postgres-datasource';
import pg from 'pg';
import { realEnvironment } from '../../../src/client/environment.ts';
import { uuidV7Source } from '../../../src/client/uuid-v7.ts';
import { clientsMax, type Depositor, depositStatement } from '../deposits.ts';

const countSuccesses = `SELECT count(*)::int AS count
  FROM dbos.workflow_status JOIN dbos.transaction_completion ON workflow_id = workflow_uuid WHERE status = 'SUCCESS'`;

/**
 * The same deposit as a workflow of DBOS with one transaction, its key the workflow's. Its tables are in the same database, and empty, in
 * its favour.
 */
export async function dbos(url: string): Promise<Depositor> {
  const { hostname, port, username, password, pathname } = new URL(url);
  const options = {
    host: hostname,
    port: Number(port),
    user: username,
    password: decodeURIComponent(password),
    database: decodeURIComponent(pathname.slice(1)),
    max: clientsMax,
  };
  DBOS.setConfig({
    name: 'bench',
    systemDatabaseUrl: url,
    systemDatabasePoolSize: clientsMax,
    logLevel: 'error',
    runAdminServer: false,
  });
  await PostgresDataSource.initializeDBOSSchema(options);
  const source = new PostgresDataSource('accounts', options);
  const workflow = DBOS.registerWorkflow(
    async (account: number) =>
      source.runTransaction(
        async () => {
          const [row] = await source.client.unsafe<{ balance: string }>(depositStatement, [account]);
          return { account, balance: row?.balance };
        },
        { name: 'add', isolationLevel: 'READ COMMITTED' },
      ),
    { name: 'deposit' },
  );
  await DBOS.launch();
  const counting = new pg.Client({ connectionString: url });
  await counting.connect();
  const nextKey = uuidV7Source(realEnvironment);
  return {
    async deposit(account) {
      await DBOS.withNextWorkflowID(nextKey(), () => workflow(account));
    },
    async records() {
      const { rows } = await counting.query<{ count: number }>(countSuccesses);
      return rows[0]?.count ?? 0;
    },
    async close() {
      await counting.end();
      await DBOS.shutdown();
    },
  };
}
