import { DirectoryLockedError } from '../kv/errors.ts';
import type { Disk, DiskFile } from '../engines/embedded/disk.ts';

/**
 * A disk in memory that fails as disks do. It has two planes: what a running process sees (live), and what a power cut
 * leaves (durable). `sync` carries from the first to the second. What was not synced survives a power cut as chance, seeded,
 * decides:
 *
 * - of a file's bytes, any subset of its 512-byte sectors: none, all, the first ones, or some here and there;
 * - of its size, the old one, the new one, or one between; what is within it and was never written reads as zeros;
 * - of the directory's entries, any subset of what was created, renamed and removed.
 *
 * A disk object is one process's life with the disk: `crash()` and `kill()` end it and answer the next one.
 */
export class SimulatedDisk implements Disk {
  readonly #random: () => number;
  readonly #pause: (operation: DiskOperation) => Promise<void>;
  readonly #directory: Directory;
  #life: 'running' | 'cut' | 'over' = 'running';
  #locked = false;
  #operations = 0;
  #syncs = 0;
  #cut: PowerCut | undefined;
  #failingSync: number | undefined;
  #spaceBytes = Infinity;

  constructor(options: SimulatedDiskOptions) {
    this.#random = randomFrom(options.seed);
    this.#pause = (operation) => options.pause?.(operation) ?? Promise.resolve();
    this.#directory = new Directory(options.files ?? new Map());
  }

  /** Operations so far that change the disk: appends, overwrites, truncations, syncs, creations, renames, removals. */
  get operations(): number {
    return this.#operations;
  }

  /** Syncs so far, of files and of the directory. */
  get syncs(): number {
    return this.#syncs;
  }

  /** Cuts the power at the n-th operation, counted from 1. From then on everything throws, until `crash()`. */
  cutPower(cut: PowerCut): void {
    this.#cut = cut;
  }

  /** Lets the n-th sync fail, counted from 1. The sectors that it was to carry over then count as clean, and are lost. */
  failSync(sync: number): void {
    this.#failingSync = sync;
  }

  /** Appends succeed for this many bytes more; then the disk is full (`ENOSPC`), until something is removed. */
  limitSpace(bytes: number): void {
    this.#spaceBytes = bytes;
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
    this.#checkLife();
    return [...this.#directory.live.keys()];
  }

  async read(name: string): Promise<Uint8Array> {
    this.#checkLife();
    return this.#directory.find(name).live.slice();
  }

  async create(name: string): Promise<DiskFile> {
    if (this.#directory.live.has(name)) throw systemError('EEXIST', `${name} exists`);
    const content = new Content(new Uint8Array(0));
    await this.#change('create', () => this.#directory.apply({ kind: 'create', name, content }));
    return this.#file(content);
  }

  async open(name: string): Promise<DiskFile> {
    this.#checkLife();
    return this.#file(this.#directory.find(name));
  }

  async rename(from: string, to: string): Promise<void> {
    this.#directory.find(from);
    await this.#change('rename', () => this.#directory.apply({ kind: 'rename', from, to }));
  }

  async remove(name: string): Promise<void> {
    const { live } = this.#directory.find(name);
    await this.#change('remove', () => this.#directory.apply({ kind: 'remove', name }));
    this.#spaceBytes += live.length;
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

  #file(content: Content): DiskFile {
    return {
      get size() {
        return content.live.length;
      },
      read: async (position, length) => {
        this.#checkLife();
        return content.live.slice(position, position + length);
      },
      append: (bytes) => {
        const written = bytes.subarray(0, Math.min(bytes.length, this.#spaceBytes));
        this.#changeAtOnce(() => content.write(content.live.length, written));
        this.#spaceBytes -= written.length;
        if (written.length < bytes.length) throw systemError('ENOSPC', 'no space left on device');
      },
      overwrite: (position, bytes) => this.#changeAtOnce(() => content.write(position, bytes)),
      truncate: (size) => this.#change('truncate', () => content.truncate(size)),
      sync: async () => {
        const carried = content.startSync();
        await this.#sync(carried.finish, carried.lose);
      },
      close: async () => undefined,
    };
  }

  async #sync(finish: () => void, lose: () => void): Promise<void> {
    this.#syncs += 1;
    const fails = this.#syncs === this.#failingSync;
    await this.#change('sync', () => {
      if (!fails) return finish();
      lose();
      throw systemError('EIO', 'input/output error');
    });
  }

  async #change(operation: DiskOperation, act: () => void): Promise<void> {
    const cut = this.#count();
    await this.#pause(operation);
    this.#checkLife();
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
    this.#operations += 1;
    if (this.#cut?.operation !== this.#operations) return false;
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

  #next(directory: Directory): SimulatedDisk {
    const next = new SimulatedDisk({ seed: Math.floor(this.#random() * 2 ** 32), pause: this.#pause });
    next.#directory.takeOver(directory);
    return next;
  }
}

export interface SimulatedDiskOptions {
  readonly seed: number;
  /** What the disk holds at first, durably. */
  readonly files?: ReadonlyMap<string, Uint8Array>;
  /** Awaited by each asynchronous operation before it takes effect. Default: one turn of the microtask queue. */
  pause?(operation: DiskOperation): Promise<void>;
}

/** The asynchronous operations that change the disk. */
export type DiskOperation = 'create' | 'rename' | 'remove' | 'truncate' | 'sync';

export interface PowerCut {
  readonly operation: number;
  /** `during`: the operation had begun, so that what it did may survive, in full or in part. */
  readonly when: 'before' | 'during';
}

export class PowerCutError extends Error {
  constructor() {
    super('the power was cut');
    this.name = 'PowerCutError';
  }
}

/** The smallest piece that a disk writes whole or not at all. */
const sectorBytes = 512;

/** A file without its name. */
class Content {
  live: Uint8Array;
  #durable: Uint8Array;
  /** Sectors that were written since a sync carried them over. */
  readonly #dirty = new Set<number>();

  constructor(durable: Uint8Array) {
    this.live = durable.slice();
    this.#durable = durable.slice();
  }

  write(position: number, bytes: Uint8Array): void {
    const end = position + bytes.length;
    this.live = resized(this.live, Math.max(this.live.length, end));
    this.live.set(bytes, position);
    for (let sector = Math.floor(position / sectorBytes); sector * sectorBytes < end; sector += 1)
      this.#dirty.add(sector);
  }

  truncate(size: number): void {
    this.live = resized(this.live, size);
    for (const sector of this.#dirty) if (sector * sectorBytes >= size) this.#dirty.delete(sector);
  }

  /** A sync carries over what is there when it starts, however long it takes. */
  startSync(): { finish: () => void; lose: () => void } {
    const caught = this.live.slice();
    const sectors = [...this.#dirty];
    return {
      finish: () => {
        this.#durable = withSectors(this.#durable, caught, sectors, caught.length);
        for (const sector of sectors) {
          if (Buffer.compare(sectorOf(this.live, sector), sectorOf(caught, sector)) === 0) this.#dirty.delete(sector);
        }
      },
      lose: () => {
        for (const sector of sectors) this.#dirty.delete(sector);
      },
    };
  }

  afterPowerCut(random: () => number): Content {
    const sectors = survivors(
      [...this.#dirty].sort((a, b) => a - b),
      random,
    );
    const [least, most] = [this.#durable.length, this.live.length];
    const size = [least, most, least + Math.round((most - least) * random())][Math.floor(random() * 3)] ?? most;
    return new Content(withSectors(this.#durable, this.live, sectors, size));
  }
}

type DirectoryChange =
  | { readonly kind: 'create'; readonly name: string; readonly content: Content }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  | { readonly kind: 'remove'; readonly name: string };

class Directory {
  live = new Map<string, Content>();
  #durable = new Map<string, Content>();
  #unsynced: readonly DirectoryChange[] = [];

  constructor(files: ReadonlyMap<string, Uint8Array>) {
    for (const [name, bytes] of files) this.live.set(name, new Content(bytes));
    this.#durable = new Map(this.live);
  }

  find(name: string): Content {
    const content = this.live.get(name);
    if (content === undefined) throw systemError('ENOENT', `${name} does not exist`);
    return content;
  }

  apply(change: DirectoryChange): void {
    applyTo(this.live, change);
    this.#unsynced = [...this.#unsynced, change];
  }

  startSync(): () => void {
    const carried = this.#unsynced;
    return () => {
      for (const change of carried) applyTo(this.#durable, change);
      this.#unsynced = this.#unsynced.filter((change) => !carried.includes(change));
    };
  }

  afterPowerCut(random: () => number): Directory {
    const names = new Map(this.#durable);
    for (const change of survivors(this.#unsynced, random)) applyTo(names, change);
    const next = new Directory(new Map());
    for (const [name, content] of names) next.live.set(name, content.afterPowerCut(random));
    next.#durable = new Map(next.live);
    return next;
  }

  takeOver(other: Directory): void {
    this.live = other.live;
    this.#durable = other.#durable;
    this.#unsynced = other.#unsynced;
  }
}

function applyTo(names: Map<string, Content>, change: DirectoryChange): void {
  switch (change.kind) {
    case 'create':
      names.set(change.name, change.content);
      break;
    case 'rename': {
      const content = names.get(change.from);
      // The creation of this name did not survive, so its renaming cannot.
      if (content === undefined) break;
      names.delete(change.from);
      names.set(change.to, content);
      break;
    }
    case 'remove':
      names.delete(change.name);
      break;
  }
}

/** None, all, the first few, or each by the toss of a coin; each of the four as often. */
function survivors<T>(all: readonly T[], random: () => number): readonly T[] {
  const way = Math.floor(random() * 4);
  if (way === 0) return [];
  if (way === 1) return all;
  if (way === 2) return all.slice(0, Math.floor(random() * (all.length + 1)));
  return all.filter(() => random() < 0.5);
}

function withSectors(old: Uint8Array, newer: Uint8Array, sectors: readonly number[], size: number): Uint8Array {
  const mixed = resized(old, Math.max(old.length, newer.length));
  for (const sector of sectors) mixed.set(sectorOf(newer, sector), sector * sectorBytes);
  return resized(mixed, size);
}

function sectorOf(bytes: Uint8Array, sector: number): Uint8Array {
  return bytes.subarray(sector * sectorBytes, (sector + 1) * sectorBytes);
}

/** A copy of that length: cut, or continued by zeros. */
function resized(bytes: Uint8Array, size: number): Uint8Array {
  const copy = new Uint8Array(size);
  copy.set(bytes.subarray(0, size));
  return copy;
}

function systemError(code: string, reason: string): Error {
  return Object.assign(new Error(`${code}: ${reason}`), { code });
}

/** Mulberry32, by Tommy Ettinger: small, and good enough to choose faults. */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
