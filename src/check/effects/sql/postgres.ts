import { Socket } from 'node:net';
import type { Client, Query } from 'pg';
import { CannotRunError } from '../../check-error.ts';
import { rowsMax, type Rows, type SqlReader } from './rows.ts';

interface Session {
  readonly client: Client;
  readonly socket: Socket;
  /** Between two queries. */
  isIdle: boolean;
}

/** By `pg`, which only they need who count so. One connection, opened by the first query. */
export function readPostgres(url: string, queryMsMax: number): SqlReader {
  let session: Session | undefined;
  const open = async (client: Client, socket: Socket): Promise<Session> => {
    const opened = { client, socket, isIdle: false };
    session = opened;
    // A connection that breaks while nobody uses it: the next query opens another.
    client.on('error', () => {
      if (session === opened) session = undefined;
    });
    await client.connect();
    return opened;
  };
  return {
    async query(text) {
      const pg = await loadPg();
      const socket = new Socket();
      const config = { connectionString: url, connectionTimeoutMillis: queryMsMax, stream: () => socket };
      const using = session ?? (await open(new pg.Client(config), socket));
      using.isIdle = false;
      await using.client.query(`${begin}; SET LOCAL statement_timeout = ${Math.ceil(queryMsMax)}`);
      const rows = await readRows(using.client, pg.Query, text);
      await using.client.query('ROLLBACK');
      using.isIdle = true;
      return rows;
    },
    async close() {
      if (session === undefined) return;
      const { client, socket, isIdle } = session;
      session = undefined;
      // A goodbye to who listens. A host that is gone would never answer it, nor end what runs there.
      if (!isIdle) return void socket.destroy();
      const ended = client.end();
      socket.destroySoon();
      await ended;
    },
  };
}

/** The query cannot leave it: the extended protocol, which pg has since 8.12, takes one statement at a time. */
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
