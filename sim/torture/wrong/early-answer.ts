import type { Disk, DiskFile } from 'semel/embedded';
import { runChild } from '../child.ts';

/** Wrong on purpose: a sync says that it is done, and the bytes are written a while later. */
runChild({ spoilDisk: lateDisk });

function lateDisk(disk: Disk): Disk {
  return {
    ...disk,
    create: async (name) => new LateFile(await disk.create(name)),
    open: async (name) => new LateFile(await disk.open(name)),
  };
}

class LateFile implements DiskFile {
  readonly #inner: DiskFile;
  readonly #pending: Uint8Array[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(inner: DiskFile) {
    this.#inner = inner;
  }

  get size(): number {
    return this.#inner.size + this.#pending.reduce((sum, bytes) => sum + bytes.length, 0);
  }

  read(position: number, length: number): Promise<Uint8Array> {
    return this.#inner.read(position, length);
  }

  append(bytes: Uint8Array): void {
    this.#pending.push(bytes);
    this.#timer ??= setTimeout(() => this.#write(), 50);
  }

  overwrite(position: number, bytes: Uint8Array): void {
    this.#write();
    this.#inner.overwrite(position, bytes);
  }

  truncate(size: number): Promise<void> {
    this.#write();
    return this.#inner.truncate(size);
  }

  async sync(): Promise<void> {
    // The bug.
  }

  close(): Promise<void> {
    this.#write();
    return this.#inner.close();
  }

  #write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const bytes of this.#pending.splice(0)) this.#inner.append(bytes);
  }
}
