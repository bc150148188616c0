import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { DatabaseSync } from 'node:sqlite';
import { text } from 'node:stream/consumers';
import type { Report } from 'semel/check';
import { expect, onTestFinished, test } from 'vitest';
import { BookingShop } from '../check/shops/booking-shop.harness.ts';
import { serve, Shop } from '../check/shops/shop.harness.ts';
import { startPostgres } from '../testing/postgres-server.harness.ts';

const command = join(import.meta.dirname, 'semel.ts');
const start = (words: readonly string[], flags: readonly string[] = [], options: { detached?: boolean } = {}) =>
  spawn(process.execPath, ['--conditions=semel-source', ...flags, command, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
  });

/** Resolves when the process has said so on standard error. */
function said(child: ReturnType<typeof start>, words: string): Promise<void> {
  let all = '';
  return new Promise((resolve) => {
    child.stderr.on('data', (piece: Buffer) => {
      all += String(piece);
      if (all.includes(words)) resolve();
    });
  });
}

function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'semel-cli-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

async function startRun() {
  const { orders, count } = await serve(new Shop());
  const json = join(scratch(), 'report.json');
  const quick = ['--quiet', '0.015', '--rate', '100000'];
  return { json, child: start(['check', orders, '--effect', count, '--path', '$.orders', '--json', json, ...quick]) };
}

test.for(['SIGINT', 'SIGTERM'] as const)('semel check leaves what it has at %s, and exits with 2', async (signal) => {
  for (const moment of ['\na fresh request', '\n1/', '\n3/', '\n9/']) {
    const { json, child } = await startRun();
    const ended = Promise.all([text(child.stdout), once(child, 'exit')]);
    await said(child, moment);
    child.kill(signal);
    const [printed] = await ended;
    expect([child.exitCode, child.signalCode], moment).toEqual([2, null]);
    expect(printed).toContain('interrupted: what comes after was not tried');
    const report: Report = JSON.parse(readFileSync(json, 'utf8'));
    expect(report.ending).toBe('interrupted');
  }
});

test('semel check writes its files and exits as usual when nobody reads its report to the end', async () => {
  const { json, child } = await startRun();
  child.stdout.destroy();
  const [told] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  expect(child.exitCode, told).toBe(0);
  const report: Report = JSON.parse(readFileSync(json, 'utf8'));
  expect(report.ending).toBe('complete');
});

test.for(['sqlite', 'postgres'] as const)(
  'semel check counts by SQL in %s, and ends when it is done, and at the Ctrl-C of a terminal',
  async (kind) => {
    const { database, insert } = await (kind === 'sqlite' ? openSqlite() : openPostgres());
    const { orders } = await serve(new BookingShop(insert));
    const words = ['--effect-sql', 'SELECT count(*) FROM orders', '--database', database, '--quiet', '0.015'];
    const done = start(['check', orders, ...words, '--only', 'fresh-key']);
    const [printed] = await Promise.all([text(done.stdout), once(done, 'exit')]);
    expect(printed).toContain('1 passed, 0 failed, 0 not tried');

    const interrupted = start(['check', orders, ...words], [], { detached: true });
    const ended = Promise.all([text(interrupted.stdout), once(interrupted, 'exit')]);
    await said(interrupted, '\n1/');
    // To the whole group, as a terminal sends it.
    process.kill(-(interrupted.pid ?? 0), 'SIGINT');
    expect((await ended)[0]).toContain('interrupted: what comes after was not tried');
    expect(interrupted.exitCode).toBe(2);
  },
);

function openSqlite() {
  const file = join(scratch(), 'shop.db');
  const database = new DatabaseSync(file);
  onTestFinished(() => database.close());
  database.exec('CREATE TABLE orders (id INTEGER PRIMARY KEY)');
  return { database: `sqlite:${file}`, insert: () => database.exec('INSERT INTO orders DEFAULT VALUES') };
}

async function openPostgres() {
  const postgres = await startPostgres();
  onTestFinished(() => postgres.stop());
  await postgres.run('CREATE TABLE orders (id bigserial PRIMARY KEY)');
  return { database: postgres.url, insert: () => postgres.run('INSERT INTO orders DEFAULT VALUES') };
}

test('semel exits with 2, which blames no endpoint, when it fails itself', async () => {
  const defect = 'data:text/javascript,process.stdout.write = () => { throw new Error("no luck"); }';
  const child = start(['check', '--help'], ['--import', defect]);
  const [told] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  expect(told).toContain('no luck');
  expect(child.exitCode).toBe(2);
});
