import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ReadableDisk } from '../../engines/embedded/inspect-store.ts';
import { isOfStore, isUnfinished } from '../../engines/embedded/log-segment.ts';
import { CannotRunError } from './store-command.ts';
import { codeOf, namesIn, reasonOf } from './store-directory.ts';

/** A file was listed, and removed before it was read, by the process that has the store open. */
export class FileGoneError extends CannotRunError {}

/** A store's directory, to be read alone: unlike the engine's own disk it makes, locks and repairs nothing. @throws CannotRunError */
export async function readableDisk(directory: string): Promise<ReadableDisk> {
  const names = await namesIn(directory);
  if (names === undefined) throw new CannotRunError(`${directory} does not exist`);
  if (!names.some((name) => isOfStore(name) || isUnfinished(name))) {
    throw new CannotRunError(`${directory} has no store in it`);
  }
  return {
    list: async () =>
      (await readdir(directory, { withFileTypes: true })).filter((entry) => entry.isFile()).map(({ name }) => name),
    async read(name) {
      try {
        return await readFile(join(directory, name));
      } catch (error) {
        if (codeOf(error) === 'ENOENT') throw new FileGoneError(`${name} is gone`, { cause: error });
        throw new CannotRunError(`${name} cannot be read: ${reasonOf(error)}`, { cause: error });
      }
    },
  };
}
