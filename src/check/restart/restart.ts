import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { InvalidInputError, NotTriedError } from '../check-error.ts';

/** How the process of the endpoint is ended, and how it is brought back. */
export interface Restart {
  /** What is killed and run, in words, for who is asked whether it may be. */
  readonly plan: string;
  /** The same for a shell, so that a person can do it again. */
  readonly script: string;
  /**
   * Finds the process that is to be killed; the answer kills it, at once and without a goodbye. `undefined` while none is named, or one
   * that was killed already. Absent where `start` ends the endpoint too.
   *
   * @throws NotTriedError where there is nothing that could be killed
   */
  readonly aim?: () => Promise<(() => void) | undefined>;
  /** Begins to bring it back. Absent where something else does, a supervisor say. */
  readonly start?: () => Starting;
}

export interface Starting {
  /** The exit code, or the signal, when the command has ended. Never rejects. */
  readonly ended: Promise<number | string>;
}

export interface RestartOptions {
  /** Is run by the shell. Without a `pid` it has to end the endpoint as well, and then to end itself. */
  readonly command?: string | undefined;
  /** The process to be killed, by its number or by the file that has it. A number names one process, which dies once. */
  readonly pid?: string | undefined;
}

/** @throws InvalidInputError for a process that nobody can mean: there is none, it is the checker itself, or what the checker hangs on */
export function restartBy({ command, pid }: RestartOptions): Restart | undefined {
  if (command === undefined && pid === undefined) return undefined;
  const start = command === undefined ? {} : { start: () => run(command) };
  const runs = command === undefined ? 'and waits until something starts it again' : `runs ${command}`;
  if (pid === undefined) return { ...start, plan: runs, script: command ?? '' };
  const isNumber = /^\d+$/.test(pid);
  const read = (): number => readPid(isNumber ? pid : readPidFile(pid), pid);
  const named = isNumber ? read() : `${read()}, or what ${pid} names by then,`;
  const kill = isNumber ? `kill -9 ${pid}` : `kill -9 "$(cat ${quote(pid)})"`;
  const killed = new Set<number>();
  return {
    ...start,
    plan: `kills process ${named} by SIGKILL, ${runs}`,
    // Whoever types it has no use for the output, and would wait for a server in the foreground.
    script: command === undefined ? kill : `${kill}\n( ${command}\n) >/dev/null 2>&1 &`,
    async aim() {
      const target = readOrNone(read);
      if (target !== undefined && killed.has(target) && isNumber) {
        throw new NotTriedError(`process ${pid} was killed already; --pid FILE names the one that came after it`);
      }
      if (target === undefined || killed.has(target)) return undefined;
      return () => {
        killProcess(target);
        killed.add(target);
      };
    },
  };
}

/** What is run may serve in the foreground, and shall outlive the checker: it is left as it is. */
function run(command: string): Starting {
  const { promise, resolve } = Promise.withResolvers<number | string>();
  // Of a group of its own, so that Ctrl-C ends the checker alone. Without pipes, which the checker's end would break.
  const child = spawn(command, { shell: true, detached: true, stdio: 'ignore' });
  child.on('error', (error) => resolve(error.message)).on('exit', (code, signal) => resolve(code ?? signal ?? 0));
  child.unref();
  return { ended: promise };
}

function killProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    const isGone = error instanceof Error && 'code' in error && error.code === 'ESRCH';
    throw new NotTriedError(
      isGone ? `there is no process ${pid}` : `process ${pid} cannot be killed: ${String(error)}`,
    );
  }
}

/** A file may be just being written. */
function readOrNone(read: () => number): number | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof InvalidInputError) return undefined;
    throw error;
  }
}

function readPidFile(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new InvalidInputError(
      `--pid ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

function readPid(text: string, given: string): number {
  const pid = Number(text);
  const named = text === given ? `--pid ${given}` : `--pid ${given}, which has ${JSON.stringify(text.slice(0, 40))}`;
  if (!/^\d{1,9}$/.test(text) || pid === 0) throw new InvalidInputError(`${named}, names no process`);
  if (pid === 1) throw new InvalidInputError(`${named}: nothing outlives process 1`);
  if (ancestry().includes(pid)) throw new InvalidInputError(`${named}: that is the checker, or what started it`);
  return pid;
}

/** The checker itself, what started it, and so on. */
function ancestry(): readonly number[] {
  const pids = [process.pid, process.ppid];
  for (;;) {
    const parent = parentOf(pids.at(-1) ?? 0);
    if (parent === undefined || pids.includes(parent)) return pids;
    pids.push(parent);
  }
}

/** Where there is no /proc, the parent of the checker is the last that is known. */
function parentOf(pid: number): number | undefined {
  try {
    const found = /^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return found === undefined ? undefined : Number(found);
  } catch {
    return undefined;
  }
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
