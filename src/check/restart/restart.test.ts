import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { restartBy } from './restart.ts';

describe('restartBy', () => {
  test.for([
    ['0', 'names no process'],
    ['1', 'nothing outlives process 1'],
    [String(process.pid), 'that is the checker, or what started it'],
    [String(process.ppid), 'that is the checker, or what started it'],
    ['/no/such/file', 'cannot be read'],
    ['-7', 'cannot be read'],
  ])('refuses the process %s', ([pid = '', reason]) => {
    expect(() => restartBy({ pid })).toThrow(reason);
  });

  test.for(['', 'seven', '1', String(process.pid)])('refuses a file that has %j', (content) => {
    const pid = pidFile(content);
    expect(() => restartBy({ pid, command: 'true' })).toThrow(`--pid ${pid}, which has`);
  });

  test('says what it kills and what it runs, before it does', () => {
    const pid = pidFile('999999999\n');
    expect(restartBy({ pid, command: 'npm start' })).toMatchObject({
      plan: `kills process 999999999, or what ${pid} names by then, by SIGKILL, runs npm start`,
      script: `kill -9 "$(cat '${pid}')"\n( npm start\n) >/dev/null 2>&1 &`,
    });
    expect(restartBy({ pid: '999999999' })?.plan).toContain('waits until something starts it again');
    expect(restartBy({ command: 'npm start' })?.plan).toBe('runs npm start');
    expect(restartBy({})).toBeUndefined();
  });

  test('kills each process once: a number names one, a file the next one', async () => {
    const [first, second] = [sleeper(), sleeper()];
    const path = pidFile(String(first.pid));
    const byFile = restartBy({ pid: path });
    const byNumber = restartBy({ pid: String(second.pid) });
    (await byFile?.aim?.())?.();
    expect(await first.end).toBe('SIGKILL');
    expect(await byFile?.aim?.()).toBeUndefined();
    // As it is while it is being written.
    writeFileSync(path, '');
    expect(await byFile?.aim?.()).toBeUndefined();
    writeFileSync(path, String(second.pid));
    (await byFile?.aim?.())?.();
    expect(await second.end).toBe('SIGKILL');
    const tooLate = await byNumber?.aim?.();
    expect(tooLate).toThrow(`there is no process ${second.pid}`);
    const third = sleeper();
    const again = restartBy({ pid: String(third.pid) });
    (await again?.aim?.())?.();
    await expect(again?.aim?.()).rejects.toMatchObject({ code: 'NOT_TRIED' });
  });

  test('runs its command by the shell, and tells how it ended', async () => {
    expect(await restartBy({ command: 'exit 3' })?.start?.().ended).toBe(3);
    expect(await restartBy({ command: 'true && kill -9 $$' })?.start?.().ended).toBe('SIGKILL');
  });
});

function pidFile(content: string): string {
  const directory = mkdtempSync(join(tmpdir(), 'semel-pid-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'pid');
  writeFileSync(path, content);
  return path;
}

function sleeper(): { readonly pid: number; readonly end: Promise<unknown> } {
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  onTestFinished(() => void child.kill('SIGKILL'));
  return { pid: child.pid ?? 0, end: once(child, 'exit').then(([, signal]) => signal) };
}
