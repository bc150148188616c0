import { Bound, requireTimeout } from '../../kv/bound.ts';
import { InvalidArgumentError } from '../../kv/errors.ts';
import type {
  CallOptions,
  Durability,
  ReadOptions,
  ReadTransaction,
  Store,
  Transaction,
  TransactOptions,
} from '../../kv/store.ts';
import { tell } from '../../kv/tell.ts';
import {
  type AttemptOptions,
  durabilities,
  type Engine,
  requireOneOf,
  type RetryableFault,
  transact,
} from '../../kv/transact.ts';
import { realWorld, type World } from '../../kv/world.ts';
import { type BackupFacts, type BackupOptions, writeBackup } from './backup.ts';
import { Call, Calls } from '../../kv/calls.ts';
import { Checkpointer } from './checkpointer.ts';
import { Database } from './database.ts';
import type { Disk } from './disk.ts';
import { EmbeddedAttempt } from './embedded-attempt.ts';
import { EmbeddedSnapshot } from './embedded-snapshot.ts';
import { DiskJournal, MemoryJournal } from './journal.ts';
import { openDirectory } from './open-directory.ts';

export interface OpenOptions {
  /** Where the log is kept; made where it does not exist. Without a directory the store is purely in memory. */
  readonly directory?: string;
  /** Instead of a directory, for simulation. */
  readonly disk?: Disk;
  readonly world?: World;
  /** What answers rest on where a call does not say so itself. Default `durable`. */
  readonly durability?: Durability;
  /**
   * The log may grow to this many bytes, or to the size of the last checkpoint if that is more, before another checkpoint is
   * written. So it bounds what an opening has to read. Default 64 MiB.
   */
  readonly checkpointBytes?: number;
  /** A file of the log that is longer is followed by another one. Default 64 MiB. */
  readonly segmentBytes?: number;
  /**
   * How long a read or a transaction may hold back many old versions, in milliseconds. After that it is told
   * `snapshot-too-old`. Default 5 minutes.
   */
  readonly snapshotAgeMaxMs?: number;
  /** Facts for metrics. What it throws, or rejects with, is dropped. */
  readonly onEvent?: (event: StoreEvent) => void;
}

/** What happened in a store, in numbers: never a key, never a value. */
export type StoreEvent =
  | {
      readonly type: 'recovered';
      /** Of the checkpoint and of the log since. */
      readonly entries: number;
      /** Of the log since the checkpoint. */
      readonly bytes: number;
      readonly checkpointBytes: number;
      readonly tornBytes: number;
      /** The file to which a torn tail was copied. */
      readonly keptAside: string | undefined;
      readonly durationMs: number;
    }
  | { readonly type: 'synced'; readonly entries: number; readonly bytes: number; readonly syncMs: number }
  /** A checkpoint was written; `sliceMsMax` is the longest that this kept other work waiting at a time. */
  | { readonly type: 'checkpointed'; readonly bytes: number; readonly durationMs: number; readonly sliceMsMax: number }
  /** No checkpoint could be written. The log has everything still; it will be tried again. */
  | { readonly type: 'checkpoint-failed'; readonly cause: unknown }
  | { readonly type: 'retried'; readonly fault: RetryableFault['code'] }
  | { readonly type: 'poisoned'; readonly cause: unknown };

export interface EmbeddedStore extends Store {
  status(): StoreStatus;
  /** Writes a checkpoint now, so that the next opening has little to read. One is written by itself when the log has grown. */
  checkpoint(): Promise<void>;
  /**
   * Writes the durable state, as it is now, into another directory, while the store goes on. `restoreBackup` makes a store of it.
   *
   * @throws InvalidArgumentError where the directory holds a store or a backup already, AbortedError
   */
  backup(to: string | Disk, options?: BackupOptions): Promise<BackupFacts>;
}

export interface StoreStatus {
  /** Whether a failed write or sync has stopped it for good; reads go on. */
  readonly poisoned: boolean;
  readonly keys: number;
  /** All versions kept in memory, old ones included. */
  readonly versions: number;
  readonly incarnation: Incarnation;
}

/** Which life of its data a store is: one begins with the store, and another with each copy that is restored of a backup. */
export interface Incarnation {
  /** 128 random bits, in hexadecimal. */
  readonly id: string;
  readonly sinceMs: number;
  /** The incarnation of whose backup this one was made. */
  readonly restoredFrom: string | undefined;
}

/**
 * Opens the embedded engine: an ordered map in memory, durable by its log. One process a directory at a time.
 *
 * @throws DirectoryLockedError, DamagedError, InvalidArgumentError, or what the file system answers
 */
export async function openStore(options: OpenOptions = {}): Promise<EmbeddedStore> {
  requireOptions(options);
  const { directory, world = realWorld } = options;
  const database = new Database(world, options);
  const disk = options.disk ?? (directory === undefined ? undefined : await openDirectory('directory', directory));
  if (disk === undefined) {
    await database.start(new MemoryJournal(() => database.collect()));
    return new OpenedStore(database, options);
  }
  const unlock = await disk.lock();
  try {
    return new OpenedStore(database, options, { checkpointer: await recover(database, disk, options), unlock });
  } catch (error) {
    await unlock();
    throw error;
  }
}

/** @throws InvalidArgumentError */
function requireOptions(options: OpenOptions): void {
  if (options.durability !== undefined) requireOneOf('durability', options.durability, durabilities);
  // No timer lasts longer than 2^31 - 1 milliseconds.
  requireTimeout('snapshotAgeMaxMs', options.snapshotAgeMaxMs);
  for (const field of ['checkpointBytes', 'segmentBytes', 'snapshotAgeMaxMs'] as const) {
    const value = options[field];
    if (value !== undefined && (!Number.isSafeInteger(value) || value < 1)) {
      throw new InvalidArgumentError(field, value, 'a whole number from 1');
    }
  }
}

async function recover(database: Database, disk: Disk, options: OpenOptions): Promise<Checkpointer> {
  const { onEvent, checkpointBytes = checkpointBytesDefault, segmentBytes = segmentBytesDefault } = options;
  const journal = await DiskJournal.open({
    disk,
    world: database.world,
    segmentBytes,
    onEntry: (entry) => database.recover(entry),
    onDurable: () => database.collect(),
    onSync(facts) {
      tell(onEvent, { type: 'synced', ...facts });
      checkpointer.consider();
    },
    onPoison: (cause) => tell(onEvent, { type: 'poisoned', cause }),
  });
  const { segment: _, ...facts } = journal.log.recovery;
  tell(onEvent, { type: 'recovered', ...facts });
  const checkpointer = new Checkpointer(
    {
      database,
      disk,
      log: journal.log,
      checkpointBytes,
      onCheckpoint: (written) => tell(onEvent, { type: 'checkpointed', ...written }),
      onFailure: (cause) => tell(onEvent, { type: 'checkpoint-failed', cause }),
    },
    facts.checkpointBytes,
  );
  try {
    await database.start(journal);
  } catch (error) {
    await journal.close();
    throw error;
  }
  return checkpointer;
}

/** Read in a second or two; and a store of a few megabytes writes many times as much log as checkpoints. */
const checkpointBytesDefault = 67_108_864;
/** One segment is held in memory whole while it is recovered. */
const segmentBytesDefault = 67_108_864;

/** What a store has that is kept on a disk. */
interface OnDisk {
  readonly checkpointer: Checkpointer;
  readonly unlock: () => Promise<void>;
}

class OpenedStore implements EmbeddedStore {
  readonly isRemote = false;
  readonly #database: Database;
  readonly #calls = new Calls();
  readonly #onRetry: (fault: RetryableFault) => void;
  readonly #onDisk: OnDisk | undefined;
  #closed: Promise<void> | undefined;

  constructor(database: Database, { onEvent }: OpenOptions, onDisk?: OnDisk) {
    this.#database = database;
    this.#onDisk = onDisk;
    this.#onRetry = (fault) => tell(onEvent, { type: 'retried', fault: fault.code });
  }

  transact<T>(body: (tx: Transaction) => T | Promise<T>, options?: TransactOptions): Promise<T> {
    return this.#calls.run(new TransactCall(this.#database, this.#calls, this.#onRetry), (call) =>
      transact(call, body, options),
    );
  }

  read<T>(body: (tx: ReadTransaction) => T | Promise<T>, options: ReadOptions = {}): Promise<T> {
    return this.#calls.run(new Call(), async () => {
      if (options.durability !== undefined) requireOneOf('durability', options.durability, durabilities);
      const bound = new Bound(this.#database.world, options);
      const snapshot = new EmbeddedSnapshot(this.#database, options.durability);
      try {
        return await bound.race(body(snapshot));
      } finally {
        snapshot.close();
        bound.close();
      }
    });
  }

  status(): StoreStatus {
    const { journal, map } = this.#database;
    const { id, sinceMs, restoredFrom } = this.#database.incarnation;
    const incarnation = { id, sinceMs, restoredFrom };
    return { poisoned: journal.poison !== undefined, keys: map.keys, versions: map.versions, incarnation };
  }

  async checkpoint(): Promise<void> {
    await this.#calls.run(new Call(), async () => this.#onDisk?.checkpointer.checkpoint());
  }

  backup(to: string | Disk, options: BackupOptions = {}): Promise<BackupFacts> {
    return this.#calls.run(new Call(), () => writeBackup(this.#database, to, options));
  }

  async close(options?: CallOptions): Promise<void> {
    requireTimeout('timeoutMs', options?.timeoutMs);
    this.#closed ??= this.#close(options);
    return this.#closed;
  }

  async #close(options: CallOptions | undefined): Promise<void> {
    await this.#calls.close(this.#database.world, options);
    try {
      await this.#onDisk?.checkpointer.close();
      await this.#database.close();
    } finally {
      await this.#onDisk?.unlock();
    }
  }
}

/** One call of `transact`, as the engine that it is given. */
class TransactCall extends Call implements Engine<Transaction> {
  readonly #database: Database;
  readonly #calls: Calls;
  readonly onRetry: (fault: RetryableFault) => void;

  constructor(database: Database, calls: Calls, onRetry: (fault: RetryableFault) => void) {
    super();
    this.#database = database;
    this.#calls = calls;
    this.onRetry = onRetry;
  }

  get world(): World {
    return this.#database.world;
  }

  begin(options: AttemptOptions): EmbeddedAttempt {
    this.#calls.requireOpen();
    this.#database.requireHealth();
    return (this.attempt = new EmbeddedAttempt(this.#database, options));
  }
}
