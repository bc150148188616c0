import pg from 'pg';
import { createOnce } from 'semel/http';
import {
  createOperations,
  type Execution,
  type Operations,
  type OperationsOptions,
  type RunOptions,
} from 'semel/operations';
import type { PostgresStore, PostgresTransaction } from 'semel/postgres';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Isolation } from '../../kv/store.ts';
import { identityOf } from '../../testing/operations-fixture.harness.ts';
import { testDatabase } from './postgres-store.harness.ts';

const database = testDatabase();

interface Shop {
  readonly schema: string;
  /** As another process would open it. */
  readonly open: (
    connectionsMax?: number,
  ) => Promise<{ store: PostgresStore; operations: Operations<PostgresTransaction> }>;
  readonly query: (text: string) => Promise<unknown[]>;
  readonly sales: () => Promise<number>;
}

/** A shop with a table of its own beside the store's. */
async function openShop(): Promise<Shop> {
  const schema = await database.newSchema();
  const client = new pg.Client({ connectionString: database.server().url });
  await client.connect();
  onTestFinished(() => client.end());
  const query = async (text: string): Promise<unknown[]> => (await client.query<Record<string, unknown>>(text)).rows;
  await query(`CREATE TABLE ${schema}.sale (id serial PRIMARY KEY, what text NOT NULL UNIQUE)`);
  return {
    schema,
    query,
    async open(connectionsMax = 10) {
      const store = await database.open({ schema, connectionsMax });
      return { store, operations: createOperations(store) };
    },
    sales: async () => (await query(`SELECT id FROM ${schema}.sale`)).length,
  };
}

function sell(schema: string, what: string, keep: Execution['keep'] = 'all', gate?: Promise<unknown>) {
  return async (tx: PostgresTransaction): Promise<Execution> => {
    await tx.sql(`INSERT INTO ${schema}.sale (what) VALUES ($1)`, [what]);
    await gate;
    return { keep, result: { what } };
  };
}

describe('run on PostgreSQL', () => {
  test('run executes once, and replays in every process', async () => {
    const shop = await openShop();
    const [one, two] = [await shop.open(), await shop.open()];
    const identity = identityOf('order-1');
    const first = await one.operations.run(identity, sell(shop.schema, 'tea'));
    expect(first).toMatchObject({ outcome: 'executed', result: { what: 'tea' } });
    for (const { operations } of [one, two]) {
      const again = await operations.run(identity, sell(shop.schema, 'never'));
      expect(again).toMatchObject({ outcome: 'replayed', result: { what: 'tea' } });
    }
    expect(await shop.sales()).toBe(1);
  });

  test('run of many duplicates at once, in two processes, executes once', async () => {
    const shop = await openShop();
    const processes = [await shop.open(3), await shop.open(3)];
    const runs = processes.flatMap(({ operations }) =>
      Array.from({ length: 20 }, () => operations.run(identityOf('order-1'), sell(shop.schema, 'tea'))),
    );
    const outcomes = (await Promise.all(runs)).map(({ outcome }) => outcome);
    expect(outcomes.toSorted()).toEqual(['executed', ...Array.from({ length: 39 }, () => 'replayed')]);
    expect(await shop.sales()).toBe(1);
  });

  test('run that waits for another process holds no connection meanwhile', async () => {
    const shop = await openShop();
    const [busy, waiting] = [await shop.open(), await shop.open(1)];
    const gate = Promise.withResolvers<void>();
    const keys = Array.from({ length: 9 }, (_, index) => `order-${index}`);
    let started = 0;
    const all = Promise.withResolvers<void>();
    const executions = keys.map((key) =>
      busy.operations.run(identityOf(key), async (tx) => {
        if (++started === keys.length) all.resolve();
        return sell(shop.schema, key, 'all', gate.promise)(tx);
      }),
    );
    await all.promise;
    const duplicates = keys.map((key) => waiting.operations.run(identityOf(key), sell(shop.schema, key)));
    // On a pool of one: if a waiter held it, this would have to wait for the gate.
    for (let turn = 0; turn < 20; turn++) await waiting.store.read((tx) => tx.get(['unrelated']));
    gate.resolve();
    expect((await Promise.all(executions)).map(({ outcome }) => outcome)).toEqual(keys.map(() => 'executed'));
    expect((await Promise.all(duplicates)).map(({ outcome }) => outcome)).toEqual(keys.map(() => 'replayed'));
    expect(await shop.sales()).toBe(9);
  });

  test('run whose execution throws leaves neither the record nor what its statements did', async () => {
    const shop = await openShop();
    const { operations } = await shop.open();
    const failure = new Error('of the handler');
    const failing = operations.run(identityOf('order-1'), async (tx) => {
      await sell(shop.schema, 'tea')(tx);
      throw failure;
    });
    await expect(failing).rejects.toBe(failure);
    expect(await shop.sales()).toBe(0);
    expect(await operations.look('acme', 'order-1')).toBeUndefined();
  });

  test('run that keeps the record alone takes back what its statements did', async () => {
    const shop = await openShop();
    const { operations } = await shop.open();
    const refused = await operations.run(identityOf('order-1'), sell(shop.schema, 'tea', 'record'));
    expect(refused).toMatchObject({ outcome: 'executed', keep: 'record' });
    expect(await shop.sales()).toBe(0);
    const again = await operations.run(identityOf('order-1'), sell(shop.schema, 'tea'));
    expect(again).toMatchObject({ outcome: 'replayed', result: { what: 'tea' } });
    expect(await shop.sales()).toBe(0);
  });

  test('run keeps the record of a refusal that a failed statement led to', async () => {
    const shop = await openShop();
    const { operations } = await shop.open();
    await operations.run(identityOf('order-1'), sell(shop.schema, 'tea'));
    const second = await operations.run(identityOf('order-2'), async (tx) => {
      try {
        return await sell(shop.schema, 'tea')(tx);
      } catch (error) {
        expect(error).toMatchObject({ code: '23505' });
        return { keep: 'record', result: 'sold out' };
      }
    });
    expect(second).toMatchObject({ outcome: 'executed', result: 'sold out' });
    expect(await operations.run(identityOf('order-2'), sell(shop.schema, 'more'))).toMatchObject({
      outcome: 'replayed',
      result: 'sold out',
    });
    expect(await shop.sales()).toBe(1);
  });

  test('run that swallows a failed statement and keeps everything is no success', async () => {
    const shop = await openShop();
    const { operations } = await shop.open();
    await operations.run(identityOf('order-1'), sell(shop.schema, 'tea'));
    const swallowing = operations.run(identityOf('order-2'), async (tx) => {
      await sell(shop.schema, 'tea')(tx).catch(() => undefined);
      return { keep: 'all', result: 'sold' };
    });
    await expect(swallowing).rejects.toMatchObject({ code: 'transaction-closed', effect: 'did-not-happen' });
    expect(await operations.look('acme', 'order-2')).toBeUndefined();
  });

  test('run that replays assigns no transaction id, and leaves no lock', async () => {
    const shop = await openShop();
    const { store, operations } = await shop.open(1);
    await operations.run(identityOf('order-1'), sell(shop.schema, 'tea'));
    const next = 'SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS next';
    const before = await shop.query(next);
    for (let count = 0; count < 5; count++) await operations.run(identityOf('order-1'), sell(shop.schema, 'tea'));
    expect(await shop.query(next)).toEqual(before);
    // On its only connection this comes after all that the replays have sent.
    await store.read((tx) => tx.get(['afterwards']));
    const locks = `SELECT mode FROM pg_locks WHERE locktype = 'advisory' OR relation = '${shop.schema}.lock_gate'::regclass`;
    expect(await shop.query(locks)).toEqual([]);
    const free = await shop.query(`SELECT key FROM ${shop.schema}.kv FOR UPDATE SKIP LOCKED`);
    expect(await shop.query(`SELECT key FROM ${shop.schema}.kv`)).toHaveLength(free.length);
  });

  test('run executes at the level that it is told, or its operations were; without either at serializable', async () => {
    const shop = await openShop();
    const { store } = await shop.open();
    const levelOf = async (key: string, options: OperationsOptions, own: RunOptions): Promise<unknown> => {
      const outcome = await createOperations(store, options).run(
        identityOf(key),
        async (tx) => {
          const { rows } = await tx.sql<{ transaction_isolation: string }>('SHOW transaction_isolation');
          return { keep: 'all', result: `${rows[0]?.transaction_isolation}` };
        },
        own,
      );
      return 'result' in outcome ? outcome.result : outcome;
    };
    expect([
      await levelOf('1', {}, {}),
      await levelOf('2', { isolation: 'read-committed' }, {}),
      await levelOf('3', { isolation: 'read-committed' }, { isolation: 'snapshot' }),
    ]).toEqual(['serializable', 'read committed', 'repeatable read']);
  });

  test('createOnce of an HTTP door hands its handler the same transaction', async () => {
    const shop = await openShop();
    const { store } = await shop.open();
    const order = createOnce(store, { scope: () => 'acme' })(async (_, tx) => {
      await tx.sql(`INSERT INTO ${shop.schema}.sale (what) VALUES ('tea')`);
      return Response.json({ sold: 'tea' }, { status: 201 });
    });
    const send = (): Promise<Response> =>
      order(new Request('http://shop/orders', { method: 'POST', headers: { 'Idempotency-Key': 'order-1' } }));
    const [first, again] = [await send(), await send()];
    expect([first.status, again.status, again.headers.get('idempotent-replayed')]).toEqual([201, 201, 'true']);
    expect(await again.text()).toBe(await first.text());
    expect(await shop.sales()).toBe(1);
  });

  test('run whose connection is killed before its commit did not happen, even if its body does not mind', async () => {
    const shop = await openShop();
    const { operations } = await shop.open();
    const killed = operations.run(identityOf('order-1'), async (tx) => {
      const execution = await sell(shop.schema, 'tea')(tx);
      await tx.sql('SELECT pg_terminate_backend(pg_backend_pid())').catch(() => undefined);
      return execution;
    });
    await expect(killed).rejects.toMatchObject({ code: 'database-unavailable', effect: 'did-not-happen' });
    expect(await shop.sales()).toBe(0);
    const retry = await operations.run(identityOf('order-1'), sell(shop.schema, 'tea'));
    expect(retry.outcome).toBe('executed');
    expect(await shop.sales()).toBe(1);
  });

  test('run past its deadline is fenced while a statement runs, and its key is free', async () => {
    const shop = await openShop();
    const { operations } = await shop.open();
    const slow = await operations.run(
      identityOf('order-1'),
      async (tx) => {
        await tx.sql(`INSERT INTO ${shop.schema}.sale (what) VALUES ('tea')`);
        await tx.sql('SELECT pg_sleep(60)');
        return { keep: 'all', result: null };
      },
      { deadlineMs: 200 },
    );
    expect(slow).toMatchObject({ outcome: 'refused', reason: 'deadline' });
    const retry = await operations.run(identityOf('order-1'), sell(shop.schema, 'tea'));
    expect(retry.outcome).toBe('executed');
    expect(await shop.sales()).toBe(1);
  });

  test.each<Isolation>(['serializable', 'snapshot', 'read-committed'])(
    'claims in two processes at %s never both win',
    async (isolation) => {
      const shop = await openShop();
      const stores = [(await shop.open(4)).store, (await shop.open(4)).store];
      let wins = 0;
      const contend = async (store: PostgresStore, round: number): Promise<void> => {
        await store.transact(
          async (tx) => {
            if (!(await tx.lockIfAbsent(['claim', round]))) return;
            if ((await tx.get(['claim', round])) !== undefined) return;
            tx.set(['claim', round], 'won');
            await tx.sql(`INSERT INTO ${shop.schema}.sale (what) VALUES ($1)`, [`${round}-${++wins}`]);
          },
          { isolation },
        );
      };
      const rounds = 25;
      for (let round = 0; round < rounds; round++) {
        await Promise.all(Array.from({ length: 6 }, (_, index) => contend(stores[index % 2] as PostgresStore, round)));
      }
      expect(await shop.sales()).toBe(rounds);
    },
  );
});
