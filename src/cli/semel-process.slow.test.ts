import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import type { Report } from 'semel/check';
import { expect, onTestFinished, test } from 'vitest';
import { serve, Shop } from '../check/shop.harness.ts';

const command = join(import.meta.dirname, 'semel.ts');
const start = (words: readonly string[], flags: readonly string[] = []) =>
  spawn(process.execPath, ['--conditions=semel-source', ...flags, command, ...words], {
    stdio: ['ignore', 'pipe', 'pipe'],
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

function reportFile(): string {
  const directory = mkdtempSync(join(tmpdir(), 'semel-cli-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return join(directory, 'report.json');
}

async function startRun() {
  const { orders, count } = await serve(new Shop());
  const json = reportFile();
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

test('semel exits with 2, which blames no endpoint, when it fails itself', async () => {
  const defect = 'data:text/javascript,process.stdout.write = () => { throw new Error("no luck"); }';
  const child = start(['check', '--help'], ['--import', defect]);
  const [told] = await Promise.all([text(child.stderr), once(child, 'exit')]);
  expect(told).toContain('no luck');
  expect(child.exitCode).toBe(2);
});
