import { readdir } from 'node:fs/promises';
import { openStore, type EmbeddedStore } from '../../engines/embedded/embedded.ts';
import { backupName, isOfStore } from '../../engines/embedded/log-segment.ts';
import { SemelError } from '../../kv/errors.ts';
import { CannotRunError } from './store-command.ts';

/** Opens a store that is there: opening as such would make one. @throws CannotRunError, DamagedError */
export async function openExisting(directory: string): Promise<EmbeddedStore> {
  const names = await namesIn(directory);
  if (names === undefined) throw new CannotRunError(`${directory} does not exist`);
  if (names.includes(backupName))
    throw new CannotRunError(`${directory} is a backup; semel restore makes a store of it`);
  if (!names.some(isOfStore)) throw new CannotRunError(`${directory} has no store in it`);
  try {
    return await openStore({ directory });
  } catch (error) {
    if (isInUse(error)) {
      throw new CannotRunError(`${reasonOf(error)}; ask that process, or end it first`, { cause: error });
    }
    throw error;
  }
}

/** What a directory has in it; `undefined` where there is none. @throws CannotRunError where it cannot be read */
export async function namesIn(directory: string): Promise<readonly string[] | undefined> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    if (codeOf(error) === 'ENOTDIR') throw new CannotRunError(`${directory} is no directory`, { cause: error });
    throw new CannotRunError(reasonOf(error), { cause: error });
  }
}

export function isInUse(error: unknown): boolean {
  return error instanceof SemelError && error.code === 'directory-locked';
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
