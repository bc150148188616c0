import pg from 'pg';
import { createOperations } from 'semel/operations';
import { openStore, type PostgresStore } from 'semel/postgres';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { identityOf } from '../../testing/operations-fixture.harness.ts';
import { type PgBouncer, pgBouncerOrSkip, startPgBouncer } from '../../testing/pgbouncer.harness.ts';
import { testDatabase } from './postgres-store.harness.ts';

const database = testDatabase();

describe('through PgBouncer in transaction mode', () => {
  let bouncer: PgBouncer | undefined;
  beforeAll(async () => {
    bouncer = await startPgBouncer(database.server());
  });
  afterAll(async () => bouncer?.stop());

  async function open(schema: string, skip: (why: string) => never): Promise<PostgresStore> {
    const { url } = pgBouncerOrSkip(bouncer, skip);
    const store = await openStore({ url, schema });
    onTestFinished(() => store.close());
    return store;
  }

  test('lock is held by its transaction alone, whichever connection that has, and free after it', async ({ skip }) => {
    const schema = await database.newSchema();
    const stores = [await open(schema, skip), await open(schema, skip)];
    let inside = 0;
    const critical = (store: PostgresStore): Promise<void> =>
      store.transact(
        async (tx) => {
          await tx.lock(['k']);
          expect(++inside).toBe(1);
          const count = Number((await tx.get(['k'])) ?? 0);
          inside--;
          tx.set(['k'], count + 1);
        },
        { isolation: 'read-committed' },
      );
    await Promise.all(stores.flatMap((store) => Array.from({ length: 15 }, () => critical(store))));
    expect(await stores[0]?.read((tx) => tx.get(['k']))).toBe(30);
  });

  test('run of many duplicates at once, in two processes, executes once', async ({ skip }) => {
    const schema = await database.newSchema();
    const stores = [await open(schema, skip), await open(schema, skip)];
    const direct = new pg.Client({ connectionString: database.server().url });
    await direct.connect();
    onTestFinished(() => direct.end());
    await direct.query(`CREATE TABLE ${schema}.sale (what text)`);
    const runs = stores.flatMap((store) => {
      const operations = createOperations(store);
      return Array.from({ length: 20 }, () =>
        operations.run(identityOf('order-1'), async (tx) => {
          await tx.sql(`INSERT INTO ${schema}.sale VALUES ($1)`, ['tea']);
          return { keep: 'all', result: 'sold' };
        }),
      );
    });
    const outcomes = (await Promise.all(runs)).map(({ outcome }) => outcome);
    expect(outcomes.toSorted()).toEqual(['executed', ...Array.from({ length: 39 }, () => 'replayed')]);
    expect((await direct.query(`SELECT FROM ${schema}.sale`)).rowCount).toBe(1);
  });

  test('transact leaves no setting behind on a connection that others get', async ({ skip }) => {
    const schema = await database.newSchema();
    const store = await open(schema, skip);
    await Promise.all(
      Array.from({ length: 6 }, (_, index) =>
        store.transact(
          async (tx) => {
            await tx.sql('SELECT 1');
            tx.set([index], index);
          },
          { durability: 'visible' },
        ),
      ),
    );
    const { url } = pgBouncerOrSkip(bouncer, skip);
    const other = new pg.Client({ connectionString: url });
    await other.connect();
    onTestFinished(() => other.end());
    for (const [setting, expected] of [
      ['synchronous_commit', 'on'],
      ['lock_timeout', '0'],
      ['idle_in_transaction_session_timeout', '0'],
    ]) {
      for (let time = 0; time < 4; time++) {
        expect((await other.query<Record<string, string>>(`SHOW ${setting}`)).rows).toEqual([
          { [`${setting}`]: expected },
        ]);
      }
    }
  });
});
