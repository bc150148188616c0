import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { openStore } from 'semel/postgres';
import { describe, expect, onTestFinished, test } from 'vitest';
import { limits } from '../../kv/limits.ts';
import { testDatabase } from './postgres-store.harness.ts';

const database = testDatabase();

/** What opening a store is told. */
async function faultThrough(url: string, schema?: string): Promise<unknown> {
  const [opening] = await Promise.allSettled([openStore({ url, connectTimeoutMs: 5_000, ...(schema && { schema }) })]);
  if (opening.status === 'fulfilled') await opening.value.close();
  return opening.status === 'rejected' ? opening.reason : 'no fault';
}

function at(change: (url: URL) => void): string {
  const url = new URL(database.server().url);
  change(url);
  return url.href;
}

describe('openStore', () => {
  test.each([
    ['connectionsMax', 0],
    ['connectTimeoutMs', 0],
    ['answerTimeoutMs', Number.NaN],
    ['idleInTransactionMs', 0.5],
    ['schema', 'Semel"; DROP'],
  ])('openStore refuses %s %s, by name', async (field, value) => {
    const opening = openStore({ url: database.server().url, [field]: value });
    await expect(opening).rejects.toMatchObject({ code: 'invalid-argument', field });
  });
});

describe('faults', () => {
  test('a server that is not there is told as unavailable, with where it was looked for', async () => {
    const fault = await faultThrough(at((url) => (url.port = '1')));
    expect(fault).toMatchObject({ code: 'database-unavailable', effect: 'did-not-happen' });
    expect(String(fault)).toContain('ECONNREFUSED 127.0.0.1:1');
  });

  test('a wrong password is told as refused, and never shown', async () => {
    const fault = await faultThrough(at((url) => (url.password = 'open-says-me')));
    expect(fault).toMatchObject({ code: 'database-refused', effect: 'did-not-happen', sqlState: '28P01' });
    expect(String(fault)).toContain('Check the user and the password');
    expect(JSON.stringify(fault) + String(fault)).not.toContain('open-says-me');
  });

  test('a database that does not exist is told as refused', async () => {
    const fault = await faultThrough(at((url) => (url.pathname = '/nowhere')));
    expect(fault).toMatchObject({ code: 'database-refused', effect: 'did-not-happen', sqlState: '3D000' });
  });

  test('a schema that does not exist is told with the command that makes it', async () => {
    const fault = await faultThrough(database.server().url, 'nowhere');
    expect(fault).toMatchObject({ code: 'schema-missing', effect: 'did-not-happen' });
    expect(String(fault)).toContain('semel migrate');
  });

  test('a schema that is dropped while a store has it open is told so too', async () => {
    const schema = await database.newSchema();
    const store = await database.open({ schema });
    await store.transact((tx) => tx.sql(`DROP SCHEMA ${schema} CASCADE`));
    for (const use of [store.read((tx) => tx.get(['k'])), store.transact((tx) => tx.set(['k'], 1))]) {
      await expect(use).rejects.toMatchObject({
        code: 'database-refused',
        effect: 'did-not-happen',
        message: expect.stringContaining('semel migrate'),
      });
    }
  });

  test('a server that only reads lets reads through, and refuses writes', async () => {
    const schema = await database.newSchema();
    const pool = new pg.Pool({
      connectionString: database.server().url,
      options: '-c default_transaction_read_only=on',
      pipeline: true,
    });
    onTestFinished(() => pool.end());
    const store = await database.open({ schema, pool });
    expect(await store.read((tx) => tx.get(['k']))).toBeUndefined();
    await expect(store.transact((tx) => tx.set(['k'], 1))).rejects.toMatchObject({
      code: 'database-refused',
      sqlState: '25006',
      message: expect.stringContaining('primary'),
    });
  });

  test('a pool without a free connection is told as unavailable within its bound, and nothing hangs', async () => {
    const store = await database.open({ connectionsMax: 1, connectTimeoutMs: 3_000 });
    const gate = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const holding = store.transact(async (tx) => {
      await tx.get(['k']);
      begun.resolve();
      await gate.promise;
    });
    await begun.promise;
    await expect(store.read((tx) => tx.get(['k']))).rejects.toMatchObject({
      code: 'database-unavailable',
      effect: 'did-not-happen',
      message: expect.stringContaining('pool'),
    });
    gate.resolve();
    await holding;
    expect(await store.read((tx) => tx.get(['k']))).toBeUndefined();
  });

  test('a statement that the server cancels for its length is the error of whoever sent it, and nothing happened', async () => {
    const store = await database.open();
    const slow = store.transact(async (tx) => {
      tx.set(['k'], 1);
      await tx.sql('SET LOCAL statement_timeout = 20');
      await tx.sql('SELECT pg_sleep(60)');
    });
    await expect(slow).rejects.toMatchObject({ code: '57014' });
    expect(await store.read((tx) => tx.get(['k']))).toBeUndefined();
  });

  test('a key of keyBytesMax bytes that cannot be compressed fits', async () => {
    const store = await database.open();
    const noise = randomBytes(limits.keyBytesMax).filter((byte) => byte !== 0);
    const key = [new Uint8Array(noise.subarray(0, limits.keyBytesMax - 20))];
    await store.transact((tx) => tx.set(key, 'fits'));
    expect(await store.read((tx) => tx.get(key))).toBe('fits');
  });

  test('a body that is silent for too long loses its transaction, and is told so', async () => {
    const store = await database.open({ idleInTransactionMs: 50 });
    const silent = store.transact(async (tx) => {
      await tx.lock(['k']);
      // Whoever may have the lock after the silence has seen the server end it.
      await store.transact((other) => other.sql('SELECT pg_sleep(0.5)'));
      await tx.get(['k']);
    });
    await expect(silent).rejects.toMatchObject({ code: 'database-unavailable', effect: 'did-not-happen' });
    await store.transact((tx) => tx.lock(['k'], { timeoutMs: 0 }));
  });

  test.each([
    'COMMIT',
    ' commit',
    '/* x */ ROLLBACK',
    '-- x\nSAVEPOINT a',
    'BEGIN',
    'end',
    "Prepare transaction 'x'",
    ';ABORT',
    'RELEASE a',
    'START TRANSACTION',
    '',
    '-- nothing',
  ])('sql refuses %j, and the transaction goes on', async (text) => {
    const store = await database.open();
    await store.transact(async (tx) => {
      tx.set(['k'], 1);
      await expect(tx.sql(text)).rejects.toMatchObject({ code: 'invalid-argument', field: 'text' });
      await tx.sql('SELECT 1');
    });
    expect(await store.read((tx) => tx.get(['k']))).toBe(1);
  });

  test('sql takes one statement at a time', async () => {
    const store = await database.open();
    const two = store.transact((tx) => tx.sql('SELECT 1; COMMIT'));
    await expect(two).rejects.toMatchObject({ code: '42601' });
  });

  test('transact whose COMMIT is answered with ROLLBACK, for a statement that the body swallowed, is no success', async () => {
    const store = await database.open();
    const swallowing = store.transact(async (tx) => {
      await tx.sql('SELECT 1 / 0').catch(() => undefined);
    });
    await expect(swallowing).rejects.toMatchObject({ code: 'transaction-closed', effect: 'did-not-happen' });
  });

  test('client that ends the transaction by itself makes the commit fail, not pass', async () => {
    const store = await database.open();
    const ended = store.transact(async (tx) => {
      tx.set(['k'], 1);
      const client = await tx.client();
      await client.query('COMMIT');
    });
    await expect(ended).rejects.toMatchObject({ code: 'transaction-closed', effect: 'did-not-happen' });
    expect(await store.read((tx) => tx.get(['k']))).toBeUndefined();
  });
});
