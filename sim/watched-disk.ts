import type { Disk, DiskFile } from '../src/engines/embedded/disk.ts';
import type { SimulatedDisk } from '../src/testing/simulated-disk.ts';
import { sectorBytes } from '../src/testing/simulated-content.ts';
import type { Marks } from './marks.ts';
import type { Story } from './story.ts';

/** The simulated disk, with somebody who watches what the store does to it. */
export class WatchedDisk implements Disk {
  readonly #disk: SimulatedDisk;
  readonly #marks: Marks;
  readonly #story: Story;
  /** Until the store is open, what is written and removed is repair. */
  #opening = true;
  /** Where the first write of a file begins that no sync has covered. */
  readonly #unsynced = new Map<string, number>();
  /** Whether there are two writes in two sectors of a file without a sync between them, or have been. */
  reorderable = false;
  readonly #read = new Map<string, Uint8Array>();

  constructor(disk: SimulatedDisk, marks: Marks, story: Story) {
    this.#disk = disk;
    this.#marks = marks;
    this.#story = story;
  }

  opened(): void {
    this.#opening = false;
    this.#read.clear();
  }

  list(): Promise<readonly string[]> {
    return this.#disk.list();
  }

  async read(name: string): Promise<Uint8Array> {
    const bytes = await this.#disk.read(name);
    this.#read.set(name, bytes);
    return bytes;
  }

  async create(name: string): Promise<DiskFile> {
    this.#tell(() => `${name} is created`);
    return this.#watched(name, await this.#disk.create(name));
  }

  async open(name: string): Promise<DiskFile> {
    return this.#watched(name, await this.#disk.open(name));
  }

  rename(from: string, to: string): Promise<void> {
    this.#tell(() => `${from} is renamed to ${to}`);
    return this.#disk.rename(from, to);
  }

  remove(name: string): Promise<void> {
    this.#tell(() => `${name} is removed`);
    if (name.endsWith('.tmp')) this.#marks.reach('unfinished segment removed');
    return this.#disk.remove(name);
  }

  async sync(): Promise<void> {
    await this.#disk.sync();
    this.#tell(() => 'the directory is synced');
  }

  lock(): Promise<() => Promise<void>> {
    return this.#disk.lock();
  }

  #watched(name: string, file: DiskFile): DiskFile {
    return {
      get size() {
        return file.size;
      },
      read: async (position, length) => {
        const bytes = await file.read(position, length);
        if (this.#opening) this.#read.set(`${name}/${position}`, bytes);
        return bytes;
      },
      append: (bytes) => {
        this.#tell(() => `${bytes.length} bytes are appended to ${name} at ${file.size}`);
        this.#watchOrder(name, file.size);
        file.append(bytes);
      },
      overwrite: (position, bytes) => {
        this.#tell(() => `${bytes.length} bytes of ${name} are written again at ${position}`);
        if (this.#opening) this.#watchRepair(this.#read.get(name)?.subarray(position, position + bytes.length), bytes);
        file.overwrite(position, bytes);
      },
      truncate: (size) => {
        this.#tell(() => `${name} is cut off at ${size}`);
        return file.truncate(size);
      },
      sync: async () => {
        this.#unsynced.delete(name);
        await file.sync();
        this.#tell(() => `${name} is synced`);
      },
      close: () => file.close(),
    };
  }

  /** Two writes in two sectors, and no sync between them. */
  #watchOrder(name: string, position: number): void {
    const sector = Math.floor(position / sectorBytes);
    const first = this.#unsynced.get(name);
    if (first === undefined) this.#unsynced.set(name, sector);
    else if (first !== sector) this.reorderable = true;
  }

  /** What is written again is what was there, but for a mark that had been lost. */
  #watchRepair(before: Uint8Array | undefined, bytes: Uint8Array): void {
    this.#marks.reach('unsure bytes written again');
    if (before !== undefined && Buffer.compare(before, bytes) !== 0) this.#marks.reach('lost mark written again');
  }

  #tell(line: () => string): void {
    this.#story.tell(() => `disk: ${line()}`);
  }
}
