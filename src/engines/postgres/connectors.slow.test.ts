import pg from 'pg';
import { createOperations, type Execution, type Operations } from 'semel/operations';
import { type Connector, openStore, type PostgresStore, type PostgresTransaction } from 'semel/postgres';
import { describe, expect, onTestFinished, test } from 'vitest';
import { identityOf } from '../../testing/operations-fixture.harness.ts';
import { type Orm, useOrms } from './connectors.harness.ts';
import { testDatabase } from './postgres-store.harness.ts';

const database = testDatabase();
const orms = useOrms();

interface Shop {
  readonly schema: string;
  readonly store: PostgresStore<unknown>;
  readonly operations: Operations<PostgresTransaction<unknown>>;
  /** Through the ORM, in the transaction. */
  readonly insert: (tx: PostgresTransaction<unknown>, what: string) => Promise<void>;
  readonly raw: (client: unknown, text: string) => PromiseLike<unknown>;
  /** On a connection of its own. */
  readonly query: (text: string) => Promise<Record<string, unknown>[]>;
  readonly sales: () => Promise<unknown[]>;
}

/** `wrap` may stand between the store and the ORM. */
async function openShop(
  { open }: Orm<unknown>,
  wrap: (connector: Connector<unknown>, query: Shop['query']) => Connector<unknown> = (connector) => connector,
): Promise<Shop> {
  const schema = await database.newSchema();
  const client = new pg.Client({ connectionString: database.server().url });
  await client.connect();
  onTestFinished(() => client.end());
  const query = async (text: string) => (await client.query<Record<string, unknown>>(text)).rows;
  await query(`CREATE TABLE ${schema}.sale (what text PRIMARY KEY)`);
  const orm = await open(database.server().url, schema);
  onTestFinished(() => orm.close());
  const store = await openStore({ connector: wrap(orm.connector, query), schema });
  onTestFinished(() => store.close());
  return {
    schema,
    store,
    operations: createOperations(store),
    insert: async (tx, what) => void (await orm.insert(await tx.client(), what)),
    raw: (handle, text) => orm.raw(handle, text),
    query,
    sales: async () => (await query(`SELECT what FROM ${schema}.sale ORDER BY what`)).map(({ what }) => what),
  };
}

function sell(shop: Shop, what: string, keep: Execution['keep'] = 'all') {
  return async (tx: PostgresTransaction<unknown>): Promise<Execution> => {
    await shop.insert(tx, what);
    return { keep, result: { what } };
  };
}

describe.for(orms)('a store that opens its transactions through $name', (orm) => {
  test('an operation commits with its record, and is replayed by a store that uses no ORM', async () => {
    const shop = await openShop(orm);
    const first = await shop.operations.run(identityOf('order-1'), sell(shop, 'tea'));
    expect(first).toMatchObject({ outcome: 'executed', result: { what: 'tea' } });
    const plain = createOperations(await database.open({ schema: shop.schema }));
    const again = await plain.run(identityOf('order-1'), async () => ({ keep: 'all', result: 'never' }));
    expect(again).toMatchObject({ outcome: 'replayed', result: { what: 'tea' } });
    expect(await shop.operations.run(identityOf('order-1'), sell(shop, 'never'))).toMatchObject({
      outcome: 'replayed',
      result: { what: 'tea' },
    });
    expect(await shop.sales()).toEqual(['tea']);
  });

  test('a throw takes back the record and what was done through the ORM', async () => {
    const shop = await openShop(orm);
    const failure = new Error('of the handler');
    const failing = shop.operations.run(identityOf('order-1'), async (tx) => {
      await shop.insert(tx, 'tea');
      throw failure;
    });
    await expect(failing).rejects.toBe(failure);
    expect(await shop.sales()).toEqual([]);
    expect(await shop.operations.look('acme', 'order-1')).toBeUndefined();
    expect(await shop.operations.run(identityOf('order-1'), sell(shop, 'tea'))).toMatchObject({ outcome: 'executed' });
  });

  test('an execution that keeps the record alone takes back what was done through the ORM', async () => {
    const shop = await openShop(orm);
    await shop.operations.run(identityOf('order-1'), sell(shop, 'tea', 'record'));
    expect(await shop.sales()).toEqual([]);
    const again = await shop.operations.run(identityOf('order-1'), sell(shop, 'tea'));
    expect(again).toMatchObject({ outcome: 'replayed', result: { what: 'tea' } });
  });

  test('a statement that failed in a nested scope goes with it, and the transaction goes on', async () => {
    const shop = await openShop(orm);
    await shop.store.transact(async (tx) => {
      await shop.insert(tx, 'tea');
      const client = await tx.client();
      for (const what of ['milk', 'tea']) {
        const failing = tx.nest(async (inner) => {
          await shop.insert(inner, what);
          throw new Error('not wanted');
        });
        await expect(failing).rejects.toThrow();
      }
      // What the outer scope has is as good as new.
      await shop.raw(client, `INSERT INTO ${shop.schema}.sale VALUES ('coffee')`);
      tx.set(['sold'], 2);
    });
    expect(await shop.sales()).toEqual(['coffee', 'tea']);
    expect(await shop.store.read((tx) => tx.get(['sold']))).toBe(2);
  });

  test('tx.sql runs in the same transaction, in the order in which it was called', async () => {
    const shop = await openShop(orm);
    const table = `${shop.schema}.sale`;
    await shop.store.transact(async (tx) => {
      await shop.insert(tx, 'tea');
      const [inserted, found] = await Promise.all([
        tx.sql(`INSERT INTO ${table} SELECT unnest($1::text[])`, [['a?', 'b $1']]),
        tx.sql(`SELECT what, $2::bytea AS bytes FROM ${table} WHERE what <> $1 AND what <> '$1?' ORDER BY what`, [
          'tea',
          Buffer.from([0, 255]),
        ]),
      ]);
      expect(inserted.rowCount).toBe(2);
      const bytes = Buffer.from([0, 255]);
      expect(found).toMatchObject({
        rows: [
          { what: 'a?', bytes },
          { what: 'b $1', bytes },
        ],
        rowCount: 2,
      });
      await expect(tx.sql('COMMIT')).rejects.toMatchObject({ code: 'invalid-argument' });
    });
    expect(await shop.sales()).toEqual(['a?', 'b $1', 'tea']);
  });

  test('a serialization failure of a statement through the ORM runs the body again', async () => {
    const shop = await openShop(orm);
    await shop.query(`INSERT INTO ${shop.schema}.sale VALUES ('tea')`);
    let attempts = 0;
    await shop.operations.run(identityOf('order-1'), async (tx) => {
      await shop.raw(await tx.client(), `SELECT what FROM ${shop.schema}.sale`);
      if (++attempts === 1) await shop.query(`UPDATE ${shop.schema}.sale SET what = 'tea!'`);
      await shop.raw(await tx.client(), `UPDATE ${shop.schema}.sale SET what = what || '.'`);
      return { keep: 'all', result: null };
    });
    expect(attempts).toBe(2);
    expect(await shop.sales()).toEqual(['tea!.']);
  });

  test('write skew on the tables of the user runs one of the bodies again', async () => {
    const shop = await openShop(orm);
    const both = Promise.withResolvers<void>();
    let attempts = 0;
    const count = async (tx: PostgresTransaction<unknown>, what: string): Promise<void> => {
      const { rows } = await tx.sql(`SELECT what FROM ${shop.schema}.sale`);
      if (++attempts === 2) both.resolve();
      await both.promise;
      await shop.insert(tx, `${what} after ${rows.length}`);
    };
    await Promise.all(['tea', 'milk'].map((what) => shop.store.transact((tx) => count(tx, what))));
    expect(attempts).toBe(3);
    expect((await shop.sales()).map((what) => String(what).slice(-1)).toSorted()).toEqual(['0', '1']);
  });

  test('an operation that another process completes just before its transaction begins is replayed', async () => {
    let look: Promise<unknown> | undefined;
    let compete: (() => Promise<unknown>) | undefined;
    const shop = await openShop(orm, (connector) => ({
      ...connector,
      query(text, values, handle) {
        const answer = connector.query(text, values, handle);
        if (handle === undefined) look ??= answer;
        return answer;
      },
      async transaction(isolation, body) {
        await look;
        const act = compete;
        compete = undefined;
        await act?.();
        return connector.transaction(isolation, body);
      },
    }));
    const plain = createOperations(await database.open({ schema: shop.schema }));
    compete = () =>
      plain.run(identityOf('order-1'), async (tx) => {
        await tx.sql(`INSERT INTO ${shop.schema}.sale VALUES ('tea')`);
        return { keep: 'all', result: 'theirs' };
      });
    expect(await shop.operations.run(identityOf('order-1'), sell(shop, 'tea'))).toMatchObject({
      outcome: 'replayed',
      result: 'theirs',
    });
    expect(await shop.sales()).toEqual(['tea']);
  });

  test('a failed statement that is swallowed is no success', async () => {
    const shop = await openShop(orm);
    const swallowing = shop.operations.run(identityOf('order-1'), async (tx) => {
      await shop.insert(tx, 'tea');
      await shop.insert(tx, 'tea').catch(() => undefined);
      return { keep: 'all', result: 'sold' };
    });
    await expect(swallowing).rejects.toMatchObject({ code: 'transaction-closed', effect: 'did-not-happen' });
    expect(await shop.sales()).toEqual([]);
    expect(await shop.operations.look('acme', 'order-1')).toBeUndefined();
  });

  test('a statement that fails behind the last one of the store is no success', async () => {
    let isStraying = true;
    const shop = await openShop(orm, (connector) => ({
      ...connector,
      transaction: (isolation, body) =>
        connector.transaction(isolation, async (handle) => {
          await body(handle);
          // As one that nobody waited for.
          if (isStraying) await shop.raw(handle, 'SELECT 1 / 0').then(undefined, () => undefined);
        }),
    }));
    await expect(shop.store.transact(sell(shop, 'tea'))).rejects.toMatchObject({
      code: expect.stringMatching(/^(transaction-closed|commit-unknown)$/),
    });
    expect(await shop.sales()).toEqual([]);
    isStraying = false;
    await shop.store.transact(sell(shop, 'tea'));
    expect(await shop.sales()).toEqual(['tea']);
  });

  test('a body that commits through the ORM writes nothing outside of the transaction', async () => {
    const shop = await openShop(orm);
    const committing = shop.operations.run(identityOf('order-1'), async (tx) => {
      await shop.raw(await tx.client(), 'COMMIT');
      return { keep: 'all', result: null };
    });
    await expect(committing).rejects.toMatchObject({ code: 'transaction-closed' });
    expect(await shop.operations.look('acme', 'order-1')).toBeUndefined();
  });

  test('a backend that is killed while the body runs takes everything with it', async () => {
    const shop = await openShop(orm);
    const killed = shop.operations.run(identityOf('order-1'), async (tx) => {
      await shop.insert(tx, 'tea');
      const { rows } = await tx.sql<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      await shop.query(`SELECT pg_terminate_backend(${rows[0]?.pid}, 5000)`);
      return { keep: 'all', result: null };
    });
    await expect(killed).rejects.toMatchObject({ code: 'database-unavailable', effect: 'did-not-happen' });
    expect(await shop.sales()).toEqual([]);
    expect(await shop.operations.run(identityOf('order-1'), sell(shop, 'tea'))).toMatchObject({ outcome: 'executed' });
  });

  test('a backend that is killed ahead of COMMIT leaves the outcome unknown', async () => {
    let pid: unknown;
    const shop = await openShop(orm, (connector, query) => ({
      ...connector,
      transaction: (isolation, body) =>
        connector.transaction(isolation, async (handle) => {
          await body(handle);
          if (pid !== undefined) await query(`SELECT pg_terminate_backend(${String(pid)}, 5000)`);
        }),
    }));
    const killed = shop.store.transact(async (tx) => {
      await shop.insert(tx, 'tea');
      pid = (await tx.sql('SELECT pg_backend_pid() AS pid')).rows[0]?.['pid'];
    });
    await expect(killed).rejects.toMatchObject({ code: 'commit-unknown', effect: 'unknown' });
    expect(await shop.sales()).toEqual([]);
  });

  test('a deadline cancels what runs through the ORM, and frees the key', async () => {
    const shop = await openShop(orm);
    const slow = await shop.operations.run(
      identityOf('order-1'),
      async (tx) => {
        await shop.insert(tx, 'tea');
        await shop.raw(await tx.client(), 'SELECT pg_sleep(250)');
        return { keep: 'all', result: null };
      },
      { deadlineMs: 500 },
    );
    expect(slow).toMatchObject({ outcome: 'refused', reason: 'deadline' });
    expect(await shop.operations.run(identityOf('order-1'), sell(shop, 'tea'))).toMatchObject({ outcome: 'executed' });
    expect(await shop.sales()).toEqual(['tea']);
  });
});
