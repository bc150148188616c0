import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { examine } from './examine.ts';
import type { Strike } from './fault.ts';
import { isTrouble, parseReports, type Report } from './report.ts';
import type { Scenario } from './scenario.ts';

export interface FaultyRun {
  /** Whether there was an n-th call to strike. */
  readonly struck: boolean;
  readonly violations: readonly string[];
  readonly reports: readonly Report[];
  /** What the process said on standard error. */
  readonly said: string;
}

/** Halves a run. Shared by all sweeps of this user, and left behind, as Node.js has it by default. */
const compileCache = join(tmpdir(), 'node-compile-cache');

/** A run that is not over by then hangs. It takes a second, and much longer on a busy machine. */
const runMsMax = 120_000;

/** Runs the workload in a process of its own, with its n-th call struck, then examines what is left. */
export async function runFaulty(
  childPath: string,
  { strike, n }: { readonly strike: Strike; readonly n: number },
  scenario: Scenario,
): Promise<FaultyRun> {
  const traceFile = join(scenario.base, 'trace');
  const [command, ...words] = [
    ...attackerOf(strike, n, { traceFile, paths: scenario.paths }),
    process.execPath,
    '--conditions=semel-source',
    childPath,
    scenario.directory,
  ];
  const child = spawn(command, words, {
    env: { ...process.env, UV_THREADPOOL_SIZE: '1', NODE_COMPILE_CACHE: compileCache },
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    timeout: runMsMax,
    killSignal: 'SIGTERM',
  });
  const told = text(child.stdio[3] as Readable);
  const said = text(child.stderr as Readable);
  await once(child, 'close');
  const reports = parseReports(await told);
  const isKilled = child.signalCode === 'SIGKILL';
  const hasTrouble = reports.some(isTrouble);
  const struck = isKilled || (strike.by === 'strace' ? await isInjected(traceFile) : hasTrouble);
  const violations = [...(await examine(scenario, reports))];
  if (!isKilled && child.exitCode !== 0)
    violations.push(`the process ended with ${child.exitCode ?? child.signalCode}`);
  if (struck && strike.by === 'strace' && strike.mustShow && !hasTrouble)
    violations.push('a failure was passed over in silence');
  return { struck, violations, reports, said: await said };
}

function attackerOf(
  strike: Strike,
  n: number,
  { traceFile, paths }: { readonly traceFile: string; readonly paths: readonly string[] },
): readonly [string, ...string[]] {
  if (strike.by === 'file-size-limit') return ['prlimit', `--fsize=${n * strike.stepBytes}`];
  const { call, inject, isForGood } = strike;
  // Without --seccomp-bpf, which is faster: with it, strace 6.1 was seen to strike at the first call and at no later one.
  const ofPaths = paths.flatMap((path) => ['-P', path]);
  const injection = `inject=${call}:${inject}:when=${n}${isForGood ? '+' : ''}`;
  return ['strace', '-f', '-qqq', '-o', traceFile, ...ofPaths, '-e', `trace=${call}`, '-e', injection];
}

async function isInjected(traceFile: string): Promise<boolean> {
  return (await readFile(traceFile, 'utf8')).includes('(INJECTED)');
}
