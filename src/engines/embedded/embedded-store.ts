import { Bound, requireTimeout } from '../../kv/bound.ts';
import { InvalidArgumentError } from '../../kv/errors.ts';
import type { ReadOptions, ReadTransaction, Store, Transaction, TransactOptions } from '../../kv/store.ts';
import { tell } from '../../kv/tell.ts';
import { type AttemptOptions, type Engine, type RetryableFault, transact } from '../../kv/transact.ts';
import { storeValue } from '../../kv/value.ts';
import { realWorld, type World } from '../../kv/world.ts';
import type { MarkEntry, PortionEntry } from './commit-codec.ts';
import { Call, Calls } from './calls.ts';
import { Database } from './database.ts';
import type { Disk } from './disk.ts';
import { EmbeddedAttempt } from './embedded-attempt.ts';
import { EmbeddedSnapshot } from './embedded-snapshot.ts';
import { DiskJournal, MemoryJournal } from './journal.ts';
import type { VersionedMap } from './versioned-map.ts';

export interface OpenOptions {
  /** Where the log is kept; made where it does not exist. Without a directory the store is purely in memory. */
  readonly directory?: string;
  /** Instead of a directory, for simulation. */
  readonly disk?: Disk;
  readonly world?: World;
  /** Facts for metrics. What it throws, or rejects with, is dropped. */
  readonly onEvent?: (event: StoreEvent) => void;
}

/** What happened in a store, in numbers: never a key, never a value. */
export type StoreEvent =
  | {
      readonly type: 'recovered';
      readonly entries: number;
      readonly bytes: number;
      readonly tornBytes: number;
      /** The file to which a torn tail was copied. */
      readonly keptAside: string | undefined;
      readonly durationMs: number;
    }
  | { readonly type: 'synced'; readonly entries: number; readonly bytes: number; readonly syncMs: number }
  | { readonly type: 'retried'; readonly fault: RetryableFault['code'] }
  | { readonly type: 'poisoned'; readonly cause: unknown };

export interface EmbeddedStore extends Store {
  status(): StoreStatus;
}

export interface StoreStatus {
  /** Whether a failed write or sync has stopped it for good; reads go on. */
  readonly poisoned: boolean;
  readonly keys: number;
  /** All versions kept in memory, old ones included. */
  readonly versions: number;
}

/**
 * Opens the embedded engine: an ordered map in memory, durable by its log. One process a directory at a time.
 *
 * @throws DirectoryLockedError, DamagedError, InvalidArgumentError, or what the file system answers
 */
export async function openStore(options: OpenOptions = {}): Promise<EmbeddedStore> {
  const { directory, world = realWorld } = options;
  if (directory !== undefined && (typeof directory !== 'string' || directory === '')) {
    throw new InvalidArgumentError('directory', directory, 'a path');
  }
  const database = new Database(world);
  const disk = options.disk ?? (directory === undefined ? undefined : await openDirectory(directory));
  if (disk === undefined) {
    await database.start(new MemoryJournal(() => database.collect()));
    return new OpenedStore(database, options, async () => undefined);
  }
  const unlock = await disk.lock();
  try {
    await recover(database, disk, options);
  } catch (error) {
    await unlock();
    throw error;
  }
  return new OpenedStore(database, options, unlock);
}

/** Loaded here only, because it brings a native module, which a store purely in memory can do without. */
async function openDirectory(directory: string): Promise<Disk> {
  const { nodeDisk } = await import('./node-disk.ts');
  return nodeDisk(directory);
}

async function recover(database: Database, disk: Disk, { onEvent }: OpenOptions): Promise<void> {
  let writes = 0;
  const journal = await DiskJournal.open({
    disk,
    world: database.world,
    onEntry(entry) {
      if (entry.kind === 'commit') writes += entry.writes.length;
      database.recover(entry);
    },
    onDurable: () => database.collect(),
    onSync: (facts) => tell(onEvent, { type: 'synced', ...facts }),
    onPoison: (cause) => tell(onEvent, { type: 'poisoned', cause }),
  });
  const { entries, bytes, tornBytes, keptAside, durationMs } = journal.recovery;
  tell(onEvent, { type: 'recovered', entries, bytes, tornBytes, keptAside, durationMs });
  try {
    if (bytes > rewriteBytesMin && writes > database.map.keys * rewriteRatio) {
      await journal.rewrite(liveEntries(database.map, database.mark()));
    }
    await database.start(journal);
  } catch (error) {
    await journal.close();
    throw error;
  }
}

/** A log this small is read in an instant, whatever is in it. */
const rewriteBytesMin = 4_194_304;
/** So that writing the log anew costs no more, over time, than what was written to it. */
const rewriteRatio = 2;
/** Encoded bytes in one entry of a log written anew, but for a single value that is larger: well within a group's bound. */
const portionBytes = 1_048_576;

function* liveEntries(map: VersionedMap, mark: MarkEntry): Generator<MarkEntry | PortionEntry> {
  yield mark;
  let portion: PortionEntry['entries'][number][] = [];
  let bytes = 0;
  for (const { key, version, value } of map.all()) {
    if (value === undefined) continue;
    const stored = storeValue(value);
    portion.push({ key, version, stored });
    bytes += key.length + stored.bytes;
    if (bytes < portionBytes) continue;
    yield { kind: 'portion', entries: portion };
    portion = [];
    bytes = 0;
  }
  if (portion.length > 0) yield { kind: 'portion', entries: portion };
}

class OpenedStore implements EmbeddedStore {
  readonly #database: Database;
  readonly #calls = new Calls();
  readonly #onRetry: (fault: RetryableFault) => void;
  readonly #unlock: () => Promise<void>;
  #closed: Promise<void> | undefined;

  constructor(database: Database, { onEvent }: OpenOptions, unlock: () => Promise<void>) {
    this.#database = database;
    this.#unlock = unlock;
    this.#onRetry = (fault) => tell(onEvent, { type: 'retried', fault: fault.code });
  }

  transact<T>(body: (tx: Transaction) => T | Promise<T>, options?: TransactOptions): Promise<T> {
    return this.#calls.run(new TransactCall(this.#database, this.#calls, this.#onRetry), (call) =>
      transact(call, body, options),
    );
  }

  read<T>(body: (tx: ReadTransaction) => T | Promise<T>, options: ReadOptions = {}): Promise<T> {
    return this.#calls.run(new Call(), async () => {
      const bound = new Bound(this.#database.world, options);
      const snapshot = new EmbeddedSnapshot(this.#database);
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
    return { poisoned: journal.poison !== undefined, keys: map.keys, versions: map.versions };
  }

  async close(options?: ReadOptions): Promise<void> {
    requireTimeout('timeoutMs', options?.timeoutMs);
    this.#closed ??= this.#close(options);
    return this.#closed;
  }

  async #close(options: ReadOptions | undefined): Promise<void> {
    await this.#calls.close(this.#database.world, options);
    try {
      await this.#database.close();
    } finally {
      await this.#unlock();
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
