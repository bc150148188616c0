import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Places } from './measure.ts';

/** A directory for each contender, below one that is removed with all that is in it. */
export function directories(parent: string): Places {
  return {
    async prepare(contender) {
      const directory = join(parent, contender.replaceAll(/[^a-z0-9]+/gi, '-'));
      await rm(directory, { recursive: true, force: true });
      await mkdir(directory, { recursive: true });
      return directory;
    },
    clear: () => rm(parent, { recursive: true, force: true }),
  };
}
