import assert from 'node:assert/strict';
import pg from 'pg';
import { clientsMax, type Depositor, depositStatement } from '../deposits.ts';

export interface BareOptions {
  readonly isolation: 'READ COMMITTED' | 'SERIALIZABLE';
  /** Sends all three statements at once. Few do: what the second says must not rest on the answer to the first. */
  readonly pipelined?: boolean;
}

/** What a deposit costs where nothing is promised of a second one with the same key. */
export function bare({ isolation, pipelined = false }: BareOptions) {
  return async (url: string): Promise<Depositor> => {
    const pool = new pg.Pool({ connectionString: url, max: clientsMax, pipeline: pipelined });
    const begin = `BEGIN ISOLATION LEVEL ${isolation}`;
    const transact = async (client: pg.PoolClient, account: number): Promise<void> => {
      await client.query(begin);
      await client.query(depositStatement, [account]);
      await client.query('COMMIT');
    };
    const transactPipelined = async (client: pg.PoolClient, account: number): Promise<void> => {
      const answers = await Promise.allSettled([
        client.query(begin),
        client.query(depositStatement, [account]),
        client.query('COMMIT'),
      ]);
      for (const answer of answers) if (answer.status === 'rejected') throw answer.reason as Error;
    };
    const attempt = async (account: number): Promise<'done' | 'conflict'> => {
      const client = await pool.connect();
      try {
        await (pipelined ? transactPipelined : transact)(client, account);
        return 'done';
      } catch (error) {
        await client.query('ROLLBACK');
        if (isConflict(error)) return 'conflict';
        throw error;
      } finally {
        client.release();
      }
    };
    return {
      async deposit(account) {
        while ((await attempt(account)) === 'conflict');
      },
      close: () => pool.end(),
    };
  };
}

/** PostgreSQL's serialization_failure. One row a transaction cannot deadlock. */
function isConflict(error: unknown): boolean {
  assert(error instanceof pg.DatabaseError);
  return error.code === '40001';
}
