import { AbortedError, DamagedError, InvalidArgumentError } from '../../kv/errors.ts';
import { realWorld, type World } from '../../kv/world.ts';
import { decodeEntry, encodeEntry, type LogEntry } from './commit-codec.ts';
import { type Database, newIncarnation } from './database.ts';
import type { Disk } from './disk.ts';
import { logBeginning } from './file-header.ts';
import { saltBytes } from './log-format.ts';
import { backupName, checkpointName, createSegment, isOfStore, temporaryName } from './log-segment.ts';
import { openDirectory } from './open-directory.ts';
import { Slices } from './slices.ts';
import { stateEntries } from './state-entries.ts';
import { readStateFile, writeStateFile } from './state-file.ts';

export interface BackupOptions {
  /** Told again and again how much is written. */
  readonly onProgress?: (progress: { readonly bytes: number }) => void;
  readonly signal?: AbortSignal;
}

export interface BackupFacts {
  readonly bytes: number;
  /** The store's clock when the state was as it is in the backup. */
  readonly takenAtMs: number;
  /** The incarnation of whose data it is. */
  readonly incarnation: string;
}

/** Writes the durable state of a database that goes on meanwhile into a directory that holds nothing of a store yet. */
export async function writeBackup(database: Database, to: string | Disk, options: BackupOptions): Promise<BackupFacts> {
  const { world, map } = database;
  return inEmptyDirectory(to, async (disk) => {
    const { snapshot, facts } = database.pinState();
    try {
      const header = { number: 1, salt: world.randomBytes(saltBytes), position: logBeginning };
      const entries = stateEntries(map, snapshot.sequence, facts);
      const bytes = await writeStateFile(
        disk,
        { kind: 'backup', name: backupName, header },
        entries,
        telling(world, options, () => database.requireOpen()),
      );
      await adopt(disk, backupName);
      return { bytes, takenAtMs: facts.mark.now, incarnation: facts.incarnation.id };
    } finally {
      database.unpin(snapshot);
    }
  });
}

export interface RestoreOptions extends BackupOptions {
  readonly world?: World;
}

export interface RestoreFacts {
  readonly bytes: number;
  /** The new store's own. */
  readonly incarnation: string;
  /** That of the store that was backed up. */
  readonly restoredFrom: string;
}

/**
 * Makes a store of a backup, in a directory that holds nothing of a store yet. It is a new *incarnation*: what happened in the
 * original after the backup is not in it, so a client's retry of that executes again; and its versions are set apart, so that
 * none of them names what the original went on to write.
 *
 * @throws DamagedError where the backup is not whole, InvalidArgumentError, DirectoryLockedError
 */
export async function restoreBackup(
  from: string | Disk,
  to: string | Disk,
  options: RestoreOptions = {},
): Promise<RestoreFacts> {
  const { world = realWorld } = options;
  const source = typeof from === 'string' ? await openDirectory('from', from, 'exists') : from;
  if (!(await source.list()).includes(backupName)) {
    throw new InvalidArgumentError('from', from, 'a directory with a backup');
  }
  return inEmptyDirectory(to, async (disk) => {
    const backup = await source.open(backupName);
    try {
      const read = readStateFile(backup, { kind: 'backup', name: backupName, number: 1 });
      const [incarnation, mark] = [await nextEntry(read), await nextEntry(read)];
      if (incarnation.kind !== 'incarnation' || mark.kind !== 'mark') {
        throw new DamagedError(backupName, 0, 'it does not say whose backup it is');
      }
      const fresh = newIncarnation(world, mark.now, incarnation.id);
      const first = [fresh, { ...mark, versionCeiling: mark.versionCeiling + versionsApart(world) }].map(encodeEntry);
      const name = checkpointName(1);
      const header = { number: 1, salt: world.randomBytes(saltBytes), position: logBeginning };
      const file = { kind: 'checkpoint', name, header } as const;
      const bytes = await writeStateFile(disk, file, followedBy(first, read), telling(world, options));
      // The checkpoint comes first: should this be cut now, opening refuses a store without its log, rather than begin one anew.
      await adopt(disk, name);
      await (await createSegment(disk, world, 1)).file.close();
      return { bytes, incarnation: fresh.id, restoredFrom: incarnation.id };
    } finally {
      await backup.close();
    }
  });
}

/**
 * How far a restored copy's versions lie beyond its original's: further than any original comes, and so that two copies of one
 * backup hardly meet.
 */
function versionsApart(world: World): number {
  return 2 ** 40 + Math.floor(world.random() * 2 ** 20) * 2 ** 20;
}

async function nextEntry(entries: AsyncGenerator<Uint8Array, unknown>): Promise<LogEntry> {
  const next = await entries.next();
  if (next.done === true) throw new DamagedError(backupName, 0, 'it holds nothing');
  return decodeEntry(next.value);
}

async function* followedBy(first: readonly Uint8Array[], rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* first;
  yield* rest;
}

function telling(
  world: World,
  { onProgress, signal }: BackupOptions,
  requireOpen?: () => void,
): (bytes: number) => Promise<void> {
  const slices = new Slices(world, () => {
    if (signal?.aborted === true) throw new AbortedError({ cause: signal.reason });
    requireOpen?.();
  });
  return async (bytes) => {
    onProgress?.({ bytes });
    await slices.between();
  };
}

/** Its name comes last, and is durable before anybody hears of it. */
async function adopt(disk: Disk, name: string): Promise<void> {
  await disk.rename(temporaryName(name), name);
  await disk.sync();
}

/** @throws InvalidArgumentError, DirectoryLockedError */
async function inEmptyDirectory<T>(to: string | Disk, act: (disk: Disk) => Promise<T>): Promise<T> {
  const disk = typeof to === 'string' ? await openDirectory('to', to) : to;
  const unlock = await disk.lock();
  try {
    const name = (await disk.list()).find(isOfStore);
    if (name !== undefined)
      throw new InvalidArgumentError('to', to, `a directory without a store or a backup; it has ${name}`);
    return await act(disk);
  } finally {
    await unlock();
  }
}
