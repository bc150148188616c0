import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { countBySql } from 'semel/check';
import { expect, onTestFinished, test } from 'vitest';
import { realEnvironment } from '../../client/environment.ts';

test.for([
  ['mysql://localhost/shop', 'a database is postgres://'],
  ['sqlite:', 'a database is postgres://'],
  ['shop.db', 'a database is postgres://'],
  ['postgres:///shop', 'a database is postgres://'],
  ['postgres://ann:sesame:1@localhost:x/shop', 'a database is postgres://'],
  ['postgres://ann:1/sesame@localhost/shop', 'write them as %2F %3F %23'],
  ['postgres://ann:1?sesame@localhost/shop', 'write them as %2F %3F %23'],
  ['postgres://ann:1#sesame@localhost/shop', 'write them as %2F %3F %23'],
  ['postgres://ann:sesame@localhost/shop?host=elsewhere', 'leave out ?host='],
] as const)('countBySql refuses %s, and does not repeat it', ([database, reason]) => {
  const caught = ((): unknown => {
    try {
      return countBySql('SELECT 1', database);
    } catch (error) {
      return error;
    }
  })();
  expect(caught).toMatchObject({ code: 'INVALID_INPUT', message: expect.stringContaining(reason) });
  expect(String(caught)).not.toMatch(/sesame/);
});

test('countBySql shows the database without its user and password', () => {
  const { database, hostname } = countBySql('SELECT 1', 'postgres://ann:sesame@db.test:6432/shop?sslmode=require');
  expect([database, hostname]).toEqual(['postgres://db.test:6432/shop', 'db.test']);
  expect(countBySql('SELECT 1', 'sqlite:shop.db')).toMatchObject({ database: 'sqlite:shop.db', hostname: undefined });
});

test('countBySql refuses a query without words', () => {
  expect(() => countBySql(' ', 'sqlite:shop.db')).toThrow('is empty');
});

// Of the rest in count-by-sql.slow.test.ts, this holds on the oldest Node.js too, which has SQLite behind a flag.
test('countBySql reads a file of SQLite', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'semel-sqlite-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const file = join(directory, 'empty.db');
  writeFileSync(file, '');
  const effect = countBySql('SELECT count(*) FROM sqlite_master', `sqlite:${file}`);
  onTestFinished(() => effect.close());
  expect(await effect.count({ environment: realEnvironment, signal: new AbortController().signal })).toBe(0);
});
