import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { formatReport, restartBy } from 'semel/check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { outcomes } from '../shops/check-shop.harness.ts';
import { checkDyingShop, checkStarted, startShop } from '../shops/dying-shops.harness.ts';

const across = ['restart-between', 'killed-amid'];
const limits = { kills: 3, patienceMsMax: 30_000, settleMsMax: 10_000 };

describe('check, across deaths', () => {
  test('restarts by a command alone, which ends the server and starts it', async () => {
    const shop = await startShop('one transaction');
    const restart = restartBy({ command: `kill -9 "$(cat '${shop.pidFile}')"; ${shop.command}` });
    const report = await checkStarted(shop, { restart, only: across, limits });
    expect(outcomes(report, 'pass'), formatReport(report)).toEqual(across);
  });

  test('leaves it to a supervisor to start what was killed', async () => {
    const shop = await startShop('one transaction');
    const supervise = `while sleep 0.02; do kill -0 "$(cat '${shop.pidFile}')" 2>/dev/null || { ${shop.command} sleep 0.5; }; done`;
    const supervisor = spawn(supervise, { shell: true, stdio: 'ignore' });
    onTestFinished(() => void supervisor.kill('SIGKILL'));
    const report = await checkStarted(shop, { restart: restartBy({ pid: shop.pidFile }), only: across, limits });
    expect(outcomes(report, 'pass'), formatReport(report)).toEqual(across);
  });

  test('kills a process that is named by its number once', async () => {
    const shop = await startShop('one transaction');
    const { command, pidFile } = shop;
    const restart = restartBy({ command, pid: readFileSync(pidFile, 'utf8') });
    const report = await checkStarted(shop, { restart, only: across, limits });
    expect(outcomes(report, 'pass'), formatReport(report)).toEqual(['restart-between']);
    expect(formatReport(report)).toContain('was killed already; --pid FILE names the one that came after it');
  });

  test('reports what it found until the endpoint did not come back', async () => {
    const shop = await startShop('one transaction');
    const restart = restartBy({ command: 'true', pid: shop.pidFile });
    const only = ['sequential-duplicates', ...across];
    const report = await checkStarted(shop, { restart, only, limits: { ...limits, startupMsMax: 300 } });
    expect(outcomes(report, 'pass')).toEqual(['sequential-duplicates']);
    expect(report).toMatchObject({ ending: 'could-not-run', reason: 'the endpoint did not come back within 0.3 s' });
  });

  test('tries nothing of it where nobody says how', async () => {
    const report = await checkDyingShop('one transaction', { restart: undefined, only: across });
    expect(outcomes(report, 'not-tried')).toEqual(across);
    expect(formatReport(report)).toContain('it needs a way to restart the endpoint (--restart, --pid)');
  });
});
