import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

/**
 * Who has a store's directory open, by what it wrote of itself, as `process 12 on host since …`; `undefined` where nobody is
 * known to. The lock itself is not tried: to hold it for a moment would refuse whoever opens the store in that moment.
 */
export async function ownerOf(directory: string): Promise<string | undefined> {
  const words = await readFile(join(directory, 'lock'), 'utf8').then(
    (text) => text.trim(),
    () => '',
  );
  const [, id, host] = /^process (\d+) on (\S+) since /.exec(words) ?? [];
  if (id === undefined) return undefined;
  // Of another machine nobody here can tell.
  return host !== hostname() || isAlive(Number(id)) ? words : undefined;
}

function isAlive(id: number): boolean {
  try {
    process.kill(id, 0);
    return true;
  } catch (error) {
    // It may not be ours to signal, and still live.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
