import { recordHeaderBytes } from '../../src/engines/embedded/log-format.ts';
import type { Disk, DiskFile } from 'semel/embedded';
import type { KillSwitch } from './kill-switch.ts';

/**
 * A disk that does what the one behind it does, and passes the points of the switch on the way. `isServing` tells the log's work
 * from the work of opening it.
 */
export function killingDisk(disk: Disk, killSwitch: KillSwitch, isServing: () => boolean): Disk {
  const step = async <T>(name: string, act: () => Promise<T>): Promise<T> => {
    passOpening(`before ${name}`);
    const result = await act();
    passOpening(`after ${name}`);
    return result;
  };
  const passOpening = (name: string): void => {
    if (!isServing()) killSwitch.pass('during-recovery', { step: name });
  };
  // The points of writing are the log's; a checkpoint is met by kills from outside.
  const file = (name: string, inner: DiskFile): DiskFile =>
    new KillingFile(inner, killSwitch, isServing, name.startsWith('log-'));
  return {
    list: () => disk.list(),
    read: (name) => step('read', () => disk.read(name)),
    create: async (name) => file(name, await step('create', () => disk.create(name))),
    open: async (name) => file(name, await step('open', () => disk.open(name))),
    rename: (from, to) => step('rename', () => disk.rename(from, to)),
    remove: (name) => step('remove', () => disk.remove(name)),
    sync: () => step('sync of the directory', () => disk.sync()),
    lock: () => disk.lock(),
  };
}

class KillingFile implements DiskFile {
  readonly #inner: DiskFile;
  readonly #switch: KillSwitch;
  readonly #isServing: () => boolean;
  readonly #isOfLog: boolean;
  /** A group was written and not synced. A mark is not synced on its own. */
  #isUnsynced = false;

  constructor(inner: DiskFile, killSwitch: KillSwitch, isServing: () => boolean, isOfLog: boolean) {
    this.#inner = inner;
    this.#switch = killSwitch;
    this.#isServing = isServing;
    this.#isOfLog = isOfLog;
  }

  get size(): number {
    return this.#inner.size;
  }

  read(position: number, length: number): Promise<Uint8Array> {
    return this.#inner.read(position, length);
  }

  append(bytes: Uint8Array): void {
    this.#passOpening('before append');
    if (this.#isServing() && this.#isOfLog && isGroup(bytes)) {
      this.#switch.pass('before-log-write');
      if (this.#switch.strikes('amid-log-write')) {
        // What a process leaves that dies between two of the writes that a large group takes.
        this.#inner.append(bytes.subarray(0, Math.ceil(bytes.length / 2)));
        this.#switch.die('amid-log-write');
      }
      this.#isUnsynced = true;
    }
    this.#inner.append(bytes);
    this.#passOpening('after append');
  }

  overwrite(position: number, bytes: Uint8Array): void {
    this.#passOpening('before overwrite');
    this.#inner.overwrite(position, bytes);
    this.#passOpening('after overwrite');
  }

  async truncate(size: number): Promise<void> {
    this.#passOpening('before truncate');
    await this.#inner.truncate(size);
    this.#passOpening('after truncate');
  }

  async sync(): Promise<void> {
    this.#passOpening('before sync');
    const isOfGroup = this.#isUnsynced;
    if (isOfGroup) this.#switch.pass('between-write-and-sync');
    await this.#inner.sync();
    this.#passOpening('after sync');
    this.#isUnsynced = false;
    if (isOfGroup) this.#switch.pass('after-sync');
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  #passOpening(step: string): void {
    if (!this.#isServing()) this.#switch.pass('during-recovery', { step });
  }
}

/** A mark is a record's header and no more. See docs/log-format.md. */
function isGroup(bytes: Uint8Array): boolean {
  return bytes.length > recordHeaderBytes;
}
