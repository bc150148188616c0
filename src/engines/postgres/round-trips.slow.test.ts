import pg from 'pg';
import { createOperations, type Execution } from 'semel/operations';
import { openStore, type PostgresStore, type PostgresTransaction } from 'semel/postgres';
import { describe, expect, onTestFinished, test } from 'vitest';
import { identityOf } from '../../testing/operations-fixture.harness.ts';
import { startWire, type Wire } from '../../testing/postgres-wire.harness.ts';
import { testDatabase } from './postgres-store.harness.ts';

const database = testDatabase();

interface Wired {
  readonly wire: Wire;
  readonly schema: string;
  readonly store: PostgresStore;
  readonly sales: () => Promise<number>;
}

/** A store whose one connection goes through a wire, which is open already; and a table of the user's. */
async function openWired(): Promise<Wired> {
  const schema = await database.newSchema();
  const direct = new pg.Client({ connectionString: database.server().url });
  await direct.connect();
  await direct.query(`CREATE TABLE ${schema}.sale (what text)`);
  const wire = await startWire(database.server().url);
  const store = await openStore({ url: wire.url, schema, connectionsMax: 1 });
  onTestFinished(async () => {
    await store.close();
    await wire.close();
    await direct.end();
  });
  // It connects, and its COMMIT is awaited, so that nothing of it is under way later.
  await store.transact((tx) => tx.set(['connects'], true));
  return {
    wire,
    schema,
    store,
    sales: async () => (await direct.query(`SELECT FROM ${schema}.sale`)).rowCount ?? 0,
  };
}

function sell(schema: string) {
  return async (tx: PostgresTransaction): Promise<Execution> => {
    await tx.sql(`INSERT INTO ${schema}.sale VALUES ($1)`, ['tea']);
    return { keep: 'all', result: 'sold' };
  };
}

describe('round trips', () => {
  /** BEGIN, the statement, COMMIT: what the user's own transaction takes. */
  const bare = 3;

  test('run of an operation with one statement takes no more of them than that statement in a transaction', async () => {
    const { wire, schema, store, sales } = await openWired();
    const operations = createOperations(store);
    wire.mark();
    const { outcome } = await operations.run(identityOf('order-1'), sell(schema));
    expect([outcome, wire.roundTrips, await sales()]).toEqual(['executed', bare, 1]);
  });

  test('run that replays takes one', async () => {
    const { wire, schema, store } = await openWired();
    const operations = createOperations(store);
    await operations.run(identityOf('order-1'), sell(schema));
    wire.mark();
    const { outcome } = await operations.run(identityOf('order-1'), sell(schema));
    // What ends the transaction that was begun in vain follows the answer, and nobody waits for it.
    const answered = wire.statements.findLastIndex(({ text }) => text !== 'ROLLBACK') + 1;
    expect([outcome, wire.statements.slice(answered).length <= 1]).toEqual(['replayed', true]);
    expect(wire.roundTrips - (wire.statements.length - answered)).toBe(1);
  });

  test.each<[string, number, (tx: PostgresTransaction) => unknown]>([
    ['sets keys and reads none', 1, (tx) => [tx.set(['a'], 1), tx.delete(['b'])]],
    ['reads a key', 2, (tx) => tx.get(['a'])],
    [
      'reads keys at a time, and one of them again',
      2,
      async (tx) => [await tx.getMany([['a'], ['b']]), await tx.get(['a'])],
    ],
    ['reads a key and sets it', 2, async (tx) => tx.set(['a'], Number((await tx.get(['a'])) ?? 0) + 1)],
    [
      'locks a key, reads it and sets it',
      3,
      async (tx) => [await tx.lock(['a']), await tx.get(['a']), tx.set(['a'], 1)],
    ],
    ['adds to a key: a look, the newest value, the commit', 3, (tx) => tx.add(['n'], 1)],
  ])('transact that %s takes %i', async (_, expected, body) => {
    const { wire, store } = await openWired();
    wire.mark();
    await store.transact(async (tx) => void (await body(tx)));
    expect(wire.roundTrips).toBe(expected);
  });
});

describe('durability', () => {
  test.each([
    ['visible', true],
    ['durable', false],
  ] as const)('transact that is %s is told to PostgreSQL, or left to it', async (durability, isTold) => {
    const { wire, store } = await openWired();
    wire.mark();
    await store.transact((tx) => tx.set(['k'], 1), { durability });
    const told = wire.statements.some(({ text }) => text.includes('synchronous_commit = off'));
    expect(told).toBe(isTold);
  });
});

describe('a server that falls silent', () => {
  test('read and transact end within answerTimeoutMs, and the next ones have a connection of their own', async () => {
    const schema = await database.newSchema();
    const wire = await startWire(database.server().url);
    const store = await openStore({ url: wire.url, schema, connectionsMax: 1, answerTimeoutMs: 300 });
    onTestFinished(async () => {
      await store.close();
      await wire.close();
    });
    for (const use of [() => store.read((tx) => tx.get(['k'])), () => store.transact((tx) => tx.get(['k']))]) {
      wire.connections.at(-1)?.pause();
      await expect(use()).rejects.toMatchObject({ code: 'database-unavailable', effect: 'did-not-happen' });
      await store.transact((tx) => tx.set(['k'], 1));
    }
  });
});

describe('a connection lost around the commit', () => {
  const isCommit = ({ text }: { readonly text: string }): boolean => text === 'COMMIT';

  test('run whose COMMIT never arrives finds that it did not happen, and executes again', async () => {
    const { wire, schema, store, sales } = await openWired();
    let runs = 0;
    const cut = wire.cutBefore(isCommit);
    const outcome = await createOperations(store).run(identityOf('order-1'), (tx) => {
      runs++;
      return sell(schema)(tx);
    });
    await cut;
    expect([outcome.outcome, runs, await sales()]).toEqual(['executed', 2, 1]);
  });

  test.each(['cutAfter', 'cutMidway'] as const)(
    'run whose COMMIT is carried out and not answered (%s) finds its record, and executes nothing again',
    async (where) => {
      const { wire, schema, store, sales } = await openWired();
      let runs = 0;
      const cut = wire[where](isCommit);
      const outcome = await createOperations(store).run(identityOf('order-1'), (tx) => {
        runs++;
        return sell(schema)(tx);
      });
      await cut;
      expect([outcome.outcome, runs, await sales()]).toEqual(['replayed', 1, 1]);
    },
  );

  test.each([
    ['cutBefore', undefined],
    ['cutAfter', 1],
  ] as const)('transact whose connection is lost around COMMIT (%s) says that it is unknown', async (where, after) => {
    const { wire, store } = await openWired();
    const cut = wire[where](isCommit);
    await expect(store.transact((tx) => tx.set(['k'], 1))).rejects.toMatchObject({
      code: 'commit-unknown',
      effect: 'unknown',
    });
    await cut;
    expect(await store.read((tx) => tx.get(['k']))).toBe(after);
  });

  test.each(['cutBefore', 'cutMidway', 'cutAfter'] as const)(
    'transact whose connection is lost at a read (%s) did not happen, and the next one goes through',
    async (where) => {
      const { wire, store } = await openWired();
      const cut = wire[where](({ text }) => text.includes('WHERE key = ANY'));
      const reading = store.transact(async (tx) => {
        tx.set(['written'], 1);
        await tx.get(['k']);
      });
      await expect(reading).rejects.toMatchObject({ code: 'database-unavailable', effect: 'did-not-happen' });
      await cut;
      expect(await store.read((tx) => tx.get(['written']))).toBeUndefined();
      await store.transact((tx) => tx.set(['k'], 1));
    },
  );
});
