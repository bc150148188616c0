import { Seeded } from '../check/seeded.ts';
import type { Disk, DiskFile } from '../engines/embedded/disk.ts';
import { DirectoryLockedError } from '../kv/errors.ts';
import { SimulatedContent } from './simulated-content.ts';
import { SimulatedDirectory } from './simulated-directory.ts';
import { systemError } from './system-error.ts';

/**
 * A disk in memory that fails as disks do. It has two planes: what a running process sees (live), and what a power cut
 * leaves (durable). `sync` carries from the first to the second. What was not synced survives a power cut as chance, seeded,
 * decides:
 *
 * - of a file's bytes, any subset of its 512-byte sectors: none, all, the first ones, or some here and there;
 * - of its size, the old one, the new one, or one between; what is within it and was never written reads as zeros;
 * - of the directory's entries, any subset of what was created, renamed and removed.
 *
 * Its faults are of two kinds, and who checks what is found afterwards must know which were armed. A *crash* (power cuts,
 * failed syncs, writes and reads, a full disk) breaks nothing but what was not synced. *Rot* (flipped bits, writes that land
 * elsewhere) breaks anything, and all that can be asked is that it be noticed.
 *
 * A disk object is one process's life with the disk: `crash()` and `kill()` end it and answer the next one.
 */
export class SimulatedDisk implements Disk {
  readonly #random: Seeded;
  readonly #pause: (operation: DiskOperation) => Promise<void>;
  #directory: SimulatedDirectory;
  #life: 'running' | 'cut' | 'over' = 'running';
  #locked = false;
  readonly #counts = { operations: 0, syncs: 0, writes: 0, reads: 0 };
  #cut: PowerCut | undefined;
  #failingSync: number | undefined;
  #failingWrite: number | undefined;
  #misdirectedWrite: number | undefined;
  #failingRead: number | undefined;
  #spaceBytes = Infinity;

  constructor(options: SimulatedDiskOptions) {
    this.#random = new Seeded(options.seed);
    this.#pause = (operation) => options.pause?.(operation) ?? Promise.resolve();
    const files = [...(options.files ?? [])];
    this.#directory = new SimulatedDirectory(files.map(([name, bytes]) => [name, new SimulatedContent(bytes)]));
  }

  /** Operations so far that change the disk: appends, overwrites, truncations, syncs, creations, renames, removals. */
  get operations(): number {
    return this.#counts.operations;
  }

  /** Syncs so far, of files and of the directory. */
  get syncs(): number {
    return this.#counts.syncs;
  }

  /** Appends and overwrites so far. */
  get writes(): number {
    return this.#counts.writes;
  }

  /** Reads of files so far. */
  get reads(): number {
    return this.#counts.reads;
  }

  /** Whether the power was cut, so that everything throws. */
  get powerIsCut(): boolean {
    return this.#life === 'cut';
  }

  /** Cuts the power at the n-th operation, counted from 1. From then on everything throws, until `crash()`. */
  cutPower(cut: PowerCut): void {
    this.#cut = cut;
  }

  /** Lets the n-th sync fail, counted from 1. The sectors that it was to carry over then count as clean, and are lost. */
  failSync(sync: number): void {
    this.#failingSync = sync;
  }

  /** Lets the n-th write, counted from 1, fall short: as many of its bytes as chance decides are written, then it throws. */
  failWrite(write: number): void {
    this.#failingWrite = write;
  }

  /** Lets the n-th read, counted from 1, fail. Nothing is wrong with the bytes. */
  failRead(read: number): void {
    this.#failingRead = read;
  }

  /** Appends succeed for this many bytes more; then the disk is full (`ENOSPC`), until something is removed or cut off. */
  limitSpace(bytes: number): void {
    this.#spaceBytes = bytes;
  }

  /** Rot: a sector of the n-th write, counted from 1, lands on another one, of any file, when it is carried over. */
  misdirectWrite(write: number): void {
    this.#misdirectedWrite = write;
  }

  /** Rot: turns a bit over, any of all that there are. Answers which, or `undefined` where there is none. */
  flipBit(): FlippedBit | undefined {
    let offset = this.#below(this.#directory.contents.reduce((sum, { size }) => sum + size, 0));
    for (const name of this.#directory.names) {
      const content = this.#directory.find(name);
      if (offset < content.size) {
        const bit = this.#below(8);
        content.flip(offset, bit);
        return { name, offset, bit };
      }
      offset -= content.size;
    }
    return undefined;
  }

  /** A power cut. Answers the disk that the next process finds. */
  crash(): SimulatedDisk {
    this.#life = 'over';
    return this.#next(this.#directory.afterPowerCut(this.#random));
  }

  /** The process dies, the machine goes on: nothing that was written is lost. Answers the disk that the next process finds. */
  kill(): SimulatedDisk {
    this.#life = 'over';
    return this.#next(this.#directory);
  }

  async list(): Promise<readonly string[]> {
    await this.#rest('list');
    return this.#directory.names;
  }

  async read(name: string): Promise<Uint8Array> {
    return this.#read(() => this.#directory.find(name).read());
  }

  async create(name: string): Promise<DiskFile> {
    if (this.#directory.has(name)) throw systemError('EEXIST', `${name} exists`);
    const content = new SimulatedContent(new Uint8Array(0));
    await this.#change('create', () => this.#directory.apply({ kind: 'create', name, content }));
    return this.#file(content);
  }

  async open(name: string): Promise<DiskFile> {
    await this.#rest('open');
    return this.#file(this.#directory.find(name));
  }

  async rename(from: string, to: string): Promise<void> {
    const content = this.#directory.find(from);
    await this.#change('rename', () => this.#directory.apply({ kind: 'rename', from, to, content }));
  }

  async remove(name: string): Promise<void> {
    const { size } = this.#directory.find(name);
    await this.#change('remove', () => this.#directory.apply({ kind: 'remove', name }));
    this.#spaceBytes += size;
  }

  async sync(): Promise<void> {
    await this.#sync(this.#directory.startSync(), () => undefined);
  }

  async lock(): Promise<() => Promise<void>> {
    this.#checkLife();
    if (this.#locked) throw new DirectoryLockedError('the simulated disk', 'this process');
    this.#locked = true;
    return async () => {
      this.#locked = false;
    };
  }

  #file(content: SimulatedContent): DiskFile {
    return {
      get size() {
        return content.size;
      },
      read: (position, length) => this.#read(() => content.read(position, length)),
      append: (bytes) => {
        const fitting = bytes.subarray(0, Math.min(bytes.length, this.#spaceBytes));
        this.#write(content, content.size, fitting);
        this.#spaceBytes -= fitting.length;
        if (fitting.length < bytes.length) throw systemError('ENOSPC', 'no space left on device');
      },
      overwrite: (position, bytes) => this.#write(content, position, bytes),
      truncate: async (size) => {
        const before = content.size;
        await this.#change('truncate', () => content.truncate(size));
        this.#spaceBytes += Math.max(0, before - size);
      },
      sync: async () => {
        const carried = content.startSync();
        await this.#sync(carried.finish, carried.lose);
      },
      close: async () => undefined,
    };
  }

  #write(content: SimulatedContent, position: number, bytes: Uint8Array): void {
    this.#counts.writes += 1;
    const fails = this.#counts.writes === this.#failingWrite;
    const written = fails ? bytes.subarray(0, this.#below(bytes.length)) : bytes;
    this.#changeAtOnce(() => {
      content.write(position, written);
      if (this.#counts.writes === this.#misdirectedWrite) content.misdirect(this.#anywhere(), this.#random);
    });
    if (fails) throw systemError('EIO', 'input/output error');
  }

  async #read(act: () => Uint8Array): Promise<Uint8Array> {
    this.#counts.reads += 1;
    const fails = this.#counts.reads === this.#failingRead;
    await this.#rest('read');
    if (fails) throw systemError('EIO', 'input/output error');
    return act();
  }

  async #sync(finish: () => void, lose: () => void): Promise<void> {
    this.#counts.syncs += 1;
    const fails = this.#counts.syncs === this.#failingSync;
    await this.#change('sync', () => {
      if (!fails) return finish();
      lose();
      throw systemError('EIO', 'input/output error');
    });
  }

  async #rest(operation: DiskOperation): Promise<void> {
    this.#checkLife();
    await this.#pause(operation);
    this.#checkLife();
  }

  async #change(operation: DiskOperation, act: () => void): Promise<void> {
    const cut = this.#count();
    await this.#rest(operation);
    // A sync that the power cut interrupts has carried over what the crash then lets survive, so it does nothing here.
    if (!cut || operation !== 'sync') act();
    if (cut) this.#cutNow();
  }

  #changeAtOnce(act: () => void): void {
    const cut = this.#count();
    act();
    if (cut) this.#cutNow();
  }

  /** Counts an operation, and cuts the power if it is to be cut before this one. True if it is to be cut during it. */
  #count(): boolean {
    this.#checkLife();
    this.#counts.operations += 1;
    if (this.#cut?.operation !== this.#counts.operations) return false;
    if (this.#cut.when === 'before') this.#cutNow();
    return true;
  }

  #cutNow(): never {
    this.#life = 'cut';
    throw new PowerCutError();
  }

  #checkLife(): void {
    if (this.#life === 'cut') throw new PowerCutError();
    if (this.#life === 'over')
      throw new Error('this process is dead; go on with the disk that crash() or kill() answered');
  }

  #anywhere() {
    const { contents } = this.#directory;
    const content = contents[this.#below(contents.length)];
    if (content === undefined) throw new Error('assertion failed: what is written is in a file');
    return { content, fraction: this.#random.fraction() };
  }

  #below(bound: number): number {
    return Math.floor(this.#random.fraction() * bound);
  }

  #next(directory: SimulatedDirectory): SimulatedDisk {
    const next = new SimulatedDisk({ seed: this.#below(2 ** 32), pause: this.#pause });
    next.#directory = directory;
    return next;
  }
}

export interface SimulatedDiskOptions {
  readonly seed: number;
  /** What the disk holds at first, durably. */
  readonly files?: ReadonlyMap<string, Uint8Array>;
  /** Awaited by each asynchronous operation before it takes effect: a slow disk. Default: one turn of the microtask queue. */
  pause?(operation: DiskOperation): Promise<void>;
}

/** The asynchronous operations. */
export type DiskOperation = 'list' | 'read' | 'open' | 'create' | 'rename' | 'remove' | 'truncate' | 'sync';

export interface PowerCut {
  readonly operation: number;
  /** `during`: the operation had begun, so that what it did may survive, in full or in part. */
  readonly when: 'before' | 'during';
}

export interface FlippedBit {
  readonly name: string;
  readonly offset: number;
  readonly bit: number;
}

export class PowerCutError extends Error {
  constructor() {
    super('the power was cut');
    this.name = 'PowerCutError';
  }
}
