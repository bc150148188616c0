import { mkdtempSync, rmSync } from 'node:fs';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { check, countBySql, describeTarget, formatReport } from 'semel/check';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { realEnvironment } from '../../client/environment.ts';
import { BookingShop } from '../shops/booking-shop.harness.ts';
import { limits, outcomes } from '../shops/check-shop.harness.ts';
import { serve } from '../shops/shop.harness.ts';
import { startPostgres, type PostgresServer } from '../../testing/postgres-server.harness.ts';

const only = ['fresh-key', 'sequential-duplicates', 'concurrent-duplicates', 'missing-key'];

async function countOnce(query: string, database: string, options = {}): Promise<number> {
  const effect = countBySql(query, database, options);
  try {
    return await effect.count({ environment: realEnvironment, signal: new AbortController().signal });
  } finally {
    await effect.close();
  }
}

describe('countBySql in PostgreSQL', () => {
  let postgres: PostgresServer;
  beforeAll(async () => {
    postgres = await startPostgres();
    await postgres.run('CREATE TABLE orders (id bigserial PRIMARY KEY, cups numeric(10, 2) NOT NULL DEFAULT 2)');
  });
  afterAll(() => postgres.stop());

  test.for([
    ['SELECT count(*) FROM pg_class WHERE false', 0],
    ['SELECT 3', 3],
    ['SELECT 4::bigint AS many, 5 AS others;', 4],
    ['SELECT 6::numeric', 6],
    ['SELECT sum(cups) FROM (VALUES (3.50::numeric(10, 2)), (3.50)) AS orders (cups)', 7],
    [`SELECT '8'`, 8],
    ['WITH n AS (SELECT 9 AS n) SELECT n FROM n', 9],
  ] as const)('answers %s', async ([query, count]) => {
    expect(await countOnce(query, postgres.url)).toBe(count);
  });

  test.for([
    ['SELECT 1.5', 'a count is a whole number, and the query answered "1.5"'],
    ['SELECT NULL', 'and the query answered null'],
    ['SELECT', 'and the query answered nothing'],
    [`SELECT 'many'`, 'and the query answered "many"'],
    ['SELECT 9007199254740993', 'and the query answered "9007199254740993"'],
    ['SELECT 1 WHERE false', 'answered none'],
    ['SELECT generate_series(1, 100000)', 'answered several'],
    ['SELECT count(*) FROM no_such', 'relation "no_such" does not exist'],
    ['INSERT INTO orders DEFAULT VALUES RETURNING id', 'read-only transaction'],
    ['SELECT 1; DELETE FROM orders', 'multiple commands'],
  ] as const)('refuses %s', async ([query, reason]) => {
    await expect(countOnce(query, postgres.url)).rejects.toMatchObject({
      code: 'CANNOT_RUN',
      message: expect.stringContaining(reason),
    });
  });

  test('ends a query that takes too long, and a database that does not answer', async () => {
    const bounds = { answerMsMax: 200 };
    const sockets: Socket[] = [];
    await expect(countOnce('SELECT 1 FROM pg_sleep(60)', postgres.url, bounds)).rejects.toThrow(
      /statement timeout|not done within 200 ms/,
    );
    // It takes connections, and hears not even that they end.
    const silent = createServer({ allowHalfOpen: true }, (socket) => sockets.push(socket));
    await once(silent.listen(0, '127.0.0.1'), 'listening');
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const { port } = silent.address() as AddressInfo;
    await expect(countOnce('SELECT 1', `postgres://127.0.0.1:${port}/shop`, bounds)).rejects.toMatchObject({
      code: 'CANNOT_RUN',
    });
  });

  test('ends at once when the run is interrupted', async () => {
    const controller = new AbortController();
    const effect = countBySql('SELECT 1 FROM pg_sleep(600)', postgres.url);
    const counted = effect.count({ environment: realEnvironment, signal: controller.signal });
    controller.abort(new Error('Ctrl-C'));
    await expect(counted).rejects.toThrow('Ctrl-C');
  });

  test('tells no password, whatever goes wrong', async () => {
    const wrong = postgres.url.replace('sesame', 'barley');
    const unreachable = postgres.url.replace(/@.*/, '@127.0.0.1:1/postgres');
    for (const url of [wrong, unreachable, postgres.url.replace(/$/, '-none')]) {
      const error: unknown = await countOnce('SELECT 1', url).catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: 'CANNOT_RUN', message: expect.stringContaining('postgres://127.0.0.1:') });
      expect(String(error)).not.toMatch(/sesame|barley/);
    }
    expect(countBySql('SELECT 1', postgres.url).database).not.toContain('sesame');
  });

  test('connects again when the database closed the connection', async () => {
    const effect = countBySql('SELECT 3', postgres.url);
    onTestFinished(() => effect.close());
    const count = () => effect.count({ environment: realEnvironment, signal: new AbortController().signal });
    expect(await count()).toBe(3);
    await postgres.run('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()');
    // The news of it may arrive after the next count began.
    await vi.waitFor(async () => expect(await count()).toBe(3));
  });

  test('counts the orders of a shop', async () => {
    const { orders } = await serve(new BookingShop(() => postgres.run('INSERT INTO orders DEFAULT VALUES')));
    const effect = countBySql('SELECT count(*) FROM orders', postgres.url);
    onTestFinished(() => effect.close());
    const report = await check(describeTarget(orders, { body: { cups: 2 } }), {
      effect,
      limits,
      only,
    });
    expect(outcomes(report, 'pass'), formatReport(report)).toEqual(only);
  });
});

describe('countBySql in SQLite', () => {
  function shopFile() {
    const directory = mkdtempSync(join(tmpdir(), 'semel-sqlite-'));
    const file = join(directory, 'shop.db');
    const database = new DatabaseSync(file);
    database.exec('CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT); PRAGMA journal_mode = WAL');
    onTestFinished(() => {
      database.close();
      rmSync(directory, { recursive: true });
    });
    return { url: `sqlite:${file}`, database };
  }

  test.for([
    ['SELECT count(*) FROM orders', 0],
    ['SELECT 4 AS "9", 5 AS "1"', 4],
    [`SELECT '6'`, 6],
    ['SELECT 7.0', 7],
    ['SELECT 9007199254740991', Number.MAX_SAFE_INTEGER],
  ] as const)('answers %s', async ([query, count]) => {
    expect(await countOnce(query, shopFile().url)).toBe(count);
  });

  test.for([
    ['SELECT 1.5', 'answered 1.5'],
    ['SELECT 9007199254740993', 'answered "9007199254740993"'],
    ['SELECT id FROM orders', 'answered none'],
    ['VALUES (1), (2)', 'answered several'],
    ['SELECT 1; SELECT 2', 'more than one statement'],
    ['SELECT count(*) FROM no_such', 'no such table: no_such'],
    ['INSERT INTO orders DEFAULT VALUES RETURNING id', 'attempt to write a readonly database'],
  ] as const)('refuses %s', async ([query, reason]) => {
    await expect(countOnce(query, shopFile().url)).rejects.toMatchObject({
      code: 'CANNOT_RUN',
      message: expect.stringContaining(reason),
    });
  });

  test('says so where Node.js was built without it', async () => {
    vi.stubEnv('NODE_OPTIONS', '--no-experimental-sqlite');
    onTestFinished(() => void vi.unstubAllEnvs());
    await expect(countOnce('SELECT 1', shopFile().url)).rejects.toThrow('has no node:sqlite; take a build of 22.12');
  });

  test('makes no file where there is none', async () => {
    await expect(countOnce('SELECT 1', `${shopFile().url}-none`)).rejects.toThrow('unable to open database file');
  });

  test('ends a query that takes too long', async () => {
    const endless = 'WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n) SELECT count(*) FROM n';
    await expect(countOnce(endless, shopFile().url, { answerMsMax: 300 })).rejects.toThrow('not done within 300 ms');
  });

  test('counts the orders of a shop', async () => {
    const { url, database } = shopFile();
    const { orders } = await serve(new BookingShop(() => database.exec('INSERT INTO orders DEFAULT VALUES')));
    const effect = countBySql('SELECT count(*) FROM orders', url);
    onTestFinished(() => effect.close());
    const report = await check(describeTarget(orders, { body: { cups: 2 } }), { effect, limits, only });
    expect(outcomes(report, 'pass'), formatReport(report)).toEqual(only);
  });
});
