import type { PoisonedError } from '../../kv/errors.ts';
import type { World } from '../../kv/world.ts';
import { decodeEntry, encodeEntry, type LogEntry, type PortionEntry } from './commit-codec.ts';
import type { Disk } from './disk.ts';
import { Log, type LogOptions } from './log.ts';

/** Where commits go to last: the log, or, for a store purely in memory, nowhere. An entry's index is its place in the order. */
export interface Journal {
  readonly lastIndex: number;
  readonly durableIndex: number;
  /** Whether who need not wait for the disk should wait all the same. */
  readonly isFarBehind: boolean;
  readonly poison: PoisonedError | undefined;
  /** @throws PoisonedError, StoreClosedError */
  append(entry: Exclude<LogEntry, PortionEntry>): number;
  /** Rejects with PoisonedError. `undefined` where it is durable already. */
  whenDurable(index: number): Promise<void> | undefined;
  close(): Promise<void>;
}

export interface JournalOptions extends Pick<LogOptions, 'segmentBytes' | 'onDurable' | 'onSync' | 'onPoison'> {
  readonly disk: Disk;
  readonly world: World;
  onEntry(entry: LogEntry): void;
}

export class DiskJournal implements Journal {
  readonly log: Log;

  private constructor(log: Log) {
    this.log = log;
  }

  static async open(options: JournalOptions): Promise<DiskJournal> {
    const log = await Log.open({ ...options, onEntry: (bytes) => options.onEntry(decodeEntry(bytes)) });
    return new DiskJournal(log);
  }

  get lastIndex(): number {
    return this.log.lastIndex;
  }

  get durableIndex(): number {
    return this.log.durableIndex;
  }

  get isFarBehind(): boolean {
    return this.log.isFarBehind;
  }

  get poison(): PoisonedError | undefined {
    return this.log.poison;
  }

  append(entry: Exclude<LogEntry, PortionEntry>): number {
    return this.log.append(encodeEntry(entry));
  }

  whenDurable(index: number): Promise<void> | undefined {
    return index <= this.log.durableIndex ? undefined : this.log.whenDurable(index);
  }

  close(): Promise<void> {
    return this.log.close();
  }
}

/** In memory, an entry is as durable as it will ever be. */
export class MemoryJournal implements Journal {
  readonly isFarBehind = false;
  readonly poison = undefined;
  readonly #onDurable: (index: number) => void;
  #index = 0;

  constructor(onDurable: (index: number) => void) {
    this.#onDurable = onDurable;
  }

  get lastIndex(): number {
    return this.#index;
  }

  get durableIndex(): number {
    return this.#index;
  }

  append(): number {
    this.#index++;
    this.#onDurable(this.#index);
    return this.#index;
  }

  whenDurable(): undefined {}

  async close(): Promise<void> {}
}
