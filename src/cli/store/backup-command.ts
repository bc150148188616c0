import { restoreBackup } from '../../engines/embedded/embedded.ts';
import { backupName, isOfStore } from '../../engines/embedded/log-segment.ts';
import type { Terminal } from '../terminal.ts';
import { type Asked, CannotRunError, type ExitCode, type StoreCommand } from './store-command.ts';
import { isInUse, namesIn, openExisting, reasonOf } from './store-directory.ts';

const backupUsage = `semel backup DIR TO

Writes a backup of the store in DIR into the directory TO, which must hold neither a store nor a backup. The store is opened for it, so no
other process may have it; one that has calls store.backup(TO) itself, while it goes on. semel restore makes a store of a backup.

Exit codes: 0 done, 1 the store cannot be opened, or the backup cannot be written; 2 it could not run. Progress on standard error.
`;

const restoreUsage = `semel restore FROM DIR

Makes a store in DIR, which must hold neither a store nor a backup, of the backup in FROM. It is a new incarnation: operations after the backup
are unknown to it, and their retries execute again there.

Exit codes: 0 done, 1 the backup is damaged, or the store cannot be written; 2 it could not run. Progress on standard error.
`;

export const backupCommand: StoreCommand = {
  name: 'backup',
  purpose: 'a backup of a store that no process has open',
  usage: backupUsage,
  wordsMax: 1,
  options: {},
  async run({ directory, words: [to], signal }, terminal) {
    if (to === undefined) throw new CannotRunError('where to?');
    await requireRoom(to);
    return tried('backup', terminal, async () => {
      const store = await openExisting(directory);
      try {
        const { bytes, takenAtMs } = await store.backup(to, { signal, onProgress: tellBytes(terminal) });
        return `${bytes} bytes, as of ${new Date(takenAtMs).toISOString()}`;
      } finally {
        await store.close();
      }
    });
  },
};

export const restoreCommand: StoreCommand = {
  name: 'restore',
  purpose: 'a new store, of a backup',
  usage: restoreUsage,
  wordsMax: 1,
  options: {},
  run: runRestore,
};

async function runRestore({ directory: from, words: [to], signal }: Asked, terminal: Terminal): Promise<ExitCode> {
  if (to === undefined) throw new CannotRunError('where to?');
  const names = await namesIn(from);
  if (names === undefined) throw new CannotRunError(`${from} does not exist`);
  if (!names.includes(backupName)) throw new CannotRunError(`${from} is no backup`);
  await requireRoom(to);
  return tried('restore', terminal, async () => {
    const { bytes, incarnation, restoredFrom } = await restoreBackup(from, to, {
      signal,
      onProgress: tellBytes(terminal),
    });
    return `${bytes} bytes; incarnation ${incarnation}, restored from ${restoredFrom}`;
  });
}

/** @throws CannotRunError */
async function requireRoom(to: string): Promise<void> {
  const taken = (await namesIn(to))?.find(isOfStore);
  if (taken !== undefined) throw new CannotRunError(`${to} is not empty: it has ${taken}`);
}

async function tried(name: string, terminal: Terminal, act: () => Promise<string>): Promise<ExitCode> {
  try {
    terminal.tell(`${await act()}\n`);
    return 0;
  } catch (error) {
    if (error instanceof CannotRunError) throw error;
    if (isInUse(error)) throw new CannotRunError(reasonOf(error), { cause: error });
    terminal.tell(`semel ${name}: ${reasonOf(error)}\n`);
    return 1;
  }
}

/** Some seconds' worth. */
const bytesBetween = 67_108_864;

function tellBytes(terminal: Terminal): (progress: { readonly bytes: number }) => void {
  let told = 0;
  return ({ bytes }) => {
    // When it is read back, it begins anew.
    if (bytes - told < bytesBetween) return;
    told = bytes;
    terminal.tell(`${bytes} bytes so far\n`);
  };
}
