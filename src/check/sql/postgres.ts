import type { Client, Query } from 'pg';
import { CannotRunError } from '../check-error.ts';
import { rowsMax, type Rows, type SqlReader } from './rows.ts';

/**
 * By `pg`, which only those need who count so. One connection, opened by the first query.
 */
export function readPostgres(url: string, queryMsMax: number): SqlReader {
  let opened: Client | undefined;
  const close = async (): Promise<void> => {
    const client = opened;
    opened = undefined;
    await client?.end();
  };
  return {
    async query(text) {
      const pg = await loadPg();
      if (opened === undefined) {
        const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: queryMsMax });
        // A connection that breaks while nobody uses it: the next query opens another.
        client.on('error', () => {
          if (opened === client) opened = undefined;
        });
        opened = client;
        await client.connect();
      }
      await opened.query(`${begin}; SET LOCAL statement_timeout = ${Math.ceil(queryMsMax)}`);
      const rows = await readRows(opened, pg.Query, text);
      await opened.query('ROLLBACK');
      return rows;
    },
    close,
  };
}

/** The query cannot leave it: the extended protocol takes one statement at a time. */
const begin = 'BEGIN TRANSACTION READ ONLY';

function readRows(client: Client, QueryOfPg: typeof Query, text: string): Promise<Rows> {
  return new Promise((resolve, reject) => {
    const values: unknown[] = [];
    const config = { text, rowMode: 'array', queryMode: 'extended' };
    const query = new QueryOfPg<unknown[]>(config);
    query.on('row', (row: unknown[]) => {
      if (values.length < rowsMax) values.push(row[0]);
    });
    query.on('error', reject);
    query.on('end', () => resolve({ values }));
    client.query(query);
  });
}

async function loadPg(): Promise<{ readonly Client: typeof Client; readonly Query: typeof Query }> {
  try {
    return await import('pg');
  } catch (error) {
    const isAbsent = error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND';
    if (!isAbsent) throw error;
    throw new CannotRunError('a count in PostgreSQL needs the package pg: npm install pg');
  }
}
