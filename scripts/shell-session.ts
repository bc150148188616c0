import { spawn } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { differenceFrom } from './expected-output.ts';
import type { Exercise, Fence } from './fences.ts';

/** The port that documents speak of. The session uses a free one instead, so that it disturbs no server of the reader's. */
const documentedPort = /\b4600\b/g;
/** Many times what a tour takes on a busy machine: it only has to end one that hangs. */
const sessionMsMax = 120_000;

export interface ShellSession {
  readonly directory: string;
  readonly scratch: string;
  /** Of the environment. */
  readonly variables: Readonly<Record<string, string>>;
}

/**
 * Runs the `sh` and `sql` fences of one document in order, in one bash session with job control, as a reader would who types them
 * into one terminal.
 */
export async function runShellExercises(
  exercises: readonly Exercise[],
  { directory, scratch, variables }: ShellSession,
): Promise<readonly string[]> {
  if (exercises.length === 0) return [];
  const port = await findFreePort();
  const scripts = readScriptNames(directory);
  const steps = exercises.map(({ code, expected }): Step => {
    const name = join(scratch, `line-${code.line}`);
    return { code, expected, name, plan: planFor(code, port, scripts) };
  });
  const driver = join(scratch, 'session.sh');
  for (const { name, plan } of steps) if (plan.act === 'run') writeFileSync(`${name}.sh`, `${plan.script}\n`);
  writeFileSync(driver, driverOf(steps));
  await runBash(driver, directory, { ...variables, JOBS: join(scratch, 'jobs') });
  return steps.flatMap((step) => judge(step, port));
}

interface Step extends Exercise {
  /** Of its files, without their endings. */
  readonly name: string;
  readonly plan: Plan;
}

type Plan =
  | { readonly act: 'run'; readonly script: string }
  /** A command that is known to work because this very test is part of it, or because it only installs. */
  | { readonly act: 'trust' }
  | { readonly act: 'refuse'; readonly reason: string };

function planFor(fence: Fence, port: number, scripts: readonly string[]): Plan {
  const text = withPort(fence.text, port);
  if (fence.language === 'sql') {
    return { act: 'run', script: `node ${quote(join(import.meta.dirname, 'run-sql.ts'))} <<'END'\n${text}\nEND` };
  }
  const commands = text
    .split(/\n|&&/)
    .map((command) => command.trim())
    .filter((command) => command !== '' && !command.startsWith('#'));
  const start = commands.find((command) => /^npm start\b/.test(command));
  if (start !== undefined) {
    const others = commands.filter((command) => command !== start && command !== 'npm ci');
    if (others.length > 0)
      return { act: 'refuse', reason: `"npm start" needs a fence of its own, without ${others.join(', ')}` };
    return { act: 'run', script: startInBackground(start, port) };
  }
  if (!commands.some((command) => command.startsWith('npm '))) return { act: 'run', script: text };
  const unknown = commands.filter((command) => !isKnownNpmCommand(command, scripts));
  if (unknown.length === 0) return { act: 'trust' };
  return {
    act: 'refuse',
    reason: `beside npm's own commands no way to run ${unknown.join(', ')}; give them another fence`,
  };
}

function isKnownNpmCommand(command: string, scripts: readonly string[]): boolean {
  if (['npm ci', 'npm test', 'npm install semel'].includes(command)) return true;
  const script = /^npm run ([\w:-]+)( -- [\w -]+)?$/.exec(command)?.[1];
  return script !== undefined && scripts.includes(script);
}

/** As a reader who has seen it say that it serves before typing on. */
function startInBackground(command: string, port: number): string {
  const words = command.replace(/\s*&$/, '');
  return [
    `${words}${words.includes(' -- ') ? '' : ' --'} --port ${port} &`,
    `until curl --silent --fail --output /dev/null http://127.0.0.1:${port}/readyz`,
    'do kill -0 $! || { echo "the server did not start" >&2; return 1; }; sleep 0.1',
    'done',
  ].join('\n');
}

function driverOf(steps: readonly Step[]): string {
  const lines = [
    // Job control, so that `kill %1` reaches the server behind npm as it does in a terminal.
    'set -m -E -o pipefail',
    `trap 'for job in $(jobs -p); do kill -9 -- "-$job"; done 2>/dev/null' EXIT`,
    `trap 'failed=1; echo "failed: $BASH_COMMAND" >&2' ERR`,
  ];
  for (const { name, plan } of steps) {
    if (plan.act !== 'run') continue;
    lines.push(
      'failed=0',
      `source ${quote(`${name}.sh`)} >${quote(`${name}.out`)} 2>${quote(`${name}.err`)} </dev/null`,
      `echo "$failed" >${quote(`${name}.status`)}`,
      'jobs -p >"$JOBS"',
    );
  }
  return `${lines.join('\n')}\n`;
}

function judge({ code, expected, name, plan }: Step, port: number): readonly string[] {
  const at = `line ${code.line}`;
  if (plan.act === 'trust') return [];
  if (plan.act === 'refuse') return [`${at}: ${plan.reason}`];
  const output = readOrEmpty(`${name}.out`);
  const status = readOrEmpty(`${name}.status`).trim();
  if (status !== '0') {
    const ending = status === '' ? 'never ended, or was never reached' : 'failed';
    return [`${at}: the command ${ending}\n${output}${readOrEmpty(`${name}.err`)}`];
  }
  const difference = expected && differenceFrom(withPortInFence(expected, port), output);
  return difference === undefined ? [] : [`${at}: ${difference}`];
}

async function runBash(
  driver: string,
  cwd: string,
  variables: Readonly<Record<string, string>> & { readonly JOBS: string },
): Promise<void> {
  const bin = join(import.meta.dirname, '..', 'node_modules', '.bin');
  const env = { ...process.env, PATH: `${bin}:${process.env['PATH']}`, NO_COLOR: '1', ...variables };
  const child = spawn('bash', ['--noprofile', '--norc', driver], { cwd, env, stdio: 'ignore', detached: true });
  const timer = setTimeout(() => {
    // Job control gave each job a group of its own.
    for (const group of [child.pid, ...readOrEmpty(variables.JOBS).trim().split('\n').map(Number)]) killGroup(group);
  }, sessionMsMax);
  await new Promise((resolve, reject) => child.on('error', reject).on('close', resolve));
  clearTimeout(timer);
}

function killGroup(group: number | undefined): void {
  if (group === undefined || group < 2) return;
  try {
    process.kill(-group, 'SIGKILL');
  } catch {
    // It is gone already.
  }
}

function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

function withPort(text: string, port: number): string {
  return text.replaceAll(documentedPort, String(port));
}

function withPortInFence(fence: Fence, port: number): Fence {
  return { ...fence, text: withPort(fence.text, port) };
}

function readScriptNames(directory: string): readonly string[] {
  const manifest: { scripts?: Readonly<Record<string, string>> } = JSON.parse(
    readFileSync(join(directory, 'package.json'), 'utf8'),
  );
  return Object.keys(manifest.scripts ?? {});
}

function readOrEmpty(path: string): string {
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
