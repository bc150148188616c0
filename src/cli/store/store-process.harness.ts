import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import type { Key, Value } from 'semel';
import { openStore } from 'semel/embedded';
import { onTestFinished } from 'vitest';

const command = join(import.meta.dirname, '..', 'semel.ts');

export function startSemel(...words: readonly string[]) {
  return spawn(process.execPath, ['--conditions=semel-source', command, ...words], { stdio: 'pipe' });
}

export interface Ended {
  readonly status: number | null;
  /** Standard output. */
  readonly printed: string;
  /** Standard error. */
  readonly told: string;
}

export async function semel(words: readonly string[], input = ''): Promise<Ended> {
  const child = startSemel(...words);
  child.stdin.end(input);
  const [printed, told] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { status: child.exitCode, printed, told };
}

export function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), 'semel-store-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  return directory;
}

/** A directory of the test's own, and places of these names in it. */
export function scratchPaths<const Name extends string>(
  ...names: readonly Name[]
): Readonly<Record<Name | 'directory', string>> {
  const directory = scratch();
  const places = names.map((name) => [name, join(directory, name)] as const);
  return Object.fromEntries([['directory', directory], ...places]) as Record<Name | 'directory', string>;
}

export async function storeIn(directory: string, entries: readonly (readonly [Key, Value])[]): Promise<void> {
  const store = await openStore({ directory });
  for (const [key, value] of entries) await store.transact((tx) => tx.set(key, value));
  await store.close();
}

export async function contentIn(directory: string): Promise<readonly (readonly [Key, Value])[]> {
  const store = await openStore({ directory });
  try {
    return await store.read((tx) => Array.fromAsync(tx.scan({}), ({ key, value }) => [key, value] as const));
  } finally {
    await store.close();
  }
}
