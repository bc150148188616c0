import assert from 'node:assert/strict';
import pg from 'pg';
import type { Contender, OpenContender } from '../claim.ts';
import { randomIndexes, runWorkers } from '../workers.ts';

/**
 * The work of the claims on PostgreSQL: one statement of the user's, which adds one to the balance of an account chosen at random. The
 * balances tell afterwards how often it was executed, and a depositor that keeps records of it has to have as many.
 */
export interface Depositor {
  deposit(account: number): Promise<void>;
  /** How many records the database has of what was deposited since it was opened, or since they were forgotten. */
  records?(): Promise<number>;
  forget?(): Promise<void>;
  close(): Promise<void>;
}

export const depositStatement = 'UPDATE account SET balance = balance + 1 WHERE id = $1 RETURNING balance';

/** So many that two in flight seldom meet. */
export const accounts = 10_000;

/** Each contender's pool is as large, so that nobody ever waits for a connection. */
export const clientsMax = 32;

export function deposits(open: (url: string) => Promise<Depositor>): OpenContender {
  return async (url) => {
    const ledger = await openLedger(url);
    return contender(ledger, await open(url));
  };
}

function contender(ledger: Ledger, depositor: Depositor): Contender {
  const random = randomIndexes(1);
  let total = 0;
  let unforgotten = 0;
  return {
    async run(inFlight, durationMs) {
      const measured = await runWorkers(inFlight, durationMs, () => depositor.deposit(random(accounts)));
      total += measured.operations;
      unforgotten += measured.operations;
      assert.equal(await ledger.total(), total, 'each deposit was executed, once');
      if (depositor.records) assert.equal(await depositor.records(), unforgotten, 'each deposit has a record');
      if (depositor.forget) {
        await depositor.forget();
        unforgotten = 0;
      }
      return measured;
    },
    async close() {
      await depositor.close();
      await ledger.close();
    },
  };
}

/** The user's table. */
export interface Ledger {
  /** The sum of the balances, which are 0 in the beginning. */
  total(): Promise<number>;
  close(): Promise<void>;
}

export async function openLedger(url: string): Promise<Ledger> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query('CREATE TABLE account (id integer PRIMARY KEY, balance bigint NOT NULL)');
  await client.query('INSERT INTO account SELECT id, 0 FROM generate_series(0, $1 - 1) AS id', [accounts]);
  await client.query('VACUUM ANALYZE account');
  return {
    async total() {
      const { rows } = await client.query<{ sum: string }>('SELECT sum(balance) FROM account');
      return Number(rows[0]?.sum);
    },
    close: () => client.end(),
  };
}
