import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** What the faults need of the machine and it has not. Debian's packages are strace and util-linux. */
export async function missingTools(): Promise<readonly string[]> {
  const missing: string[] = [];
  // A container may have strace and forbid it to trace.
  for (const [tool, ...words] of [
    ['strace', '-qqq', '-o', '/dev/null', 'true'],
    ['prlimit', '--fsize=1', 'true'],
  ]) {
    await promisify(execFile)(tool ?? '', words).catch(() => missing.push(tool ?? ''));
  }
  return missing;
}
