import type { Seeded } from '../check/seeded.ts';
import { survivors } from './survivors.ts';

/** The smallest piece that a disk writes whole or not at all. */
export const sectorBytes = 512;

/**
 * A file without its name, in two planes: *live*, what processes read and write, which is the kernel's cache; and *durable*,
 * what is on the disk. A sector is *dirty* while the live one has not been carried over.
 */
export class SimulatedContent {
  readonly #live: Plane;
  readonly #durable: Plane;
  /** Dirty sectors, each with the number of the write that made it so last. */
  readonly #dirty = new Map<number, number>();
  /** Where the disk will put a sector instead. */
  readonly #misdirected = new Map<number, Misdirection>();
  #writes = 0;

  constructor(durable: Uint8Array) {
    this.#live = new Plane(durable);
    this.#durable = new Plane(durable);
  }

  get size(): number {
    return this.#live.size;
  }

  get durableSize(): number {
    return this.#durable.size;
  }

  /** A copy. */
  read(position = 0, length = this.#live.size): Uint8Array {
    return this.#live.slice(position, Math.min(position + length, this.#live.size));
  }

  write(position: number, bytes: Uint8Array): void {
    this.#live.write(position, bytes);
    this.#writes += 1;
    const end = position + bytes.length;
    for (let sector = Math.floor(position / sectorBytes); sector * sectorBytes < end; sector += 1) {
      this.#dirty.set(sector, this.#writes);
    }
  }

  truncate(size: number): void {
    this.#live.resize(size);
    for (const sector of this.#dirty.keys()) if (sector * sectorBytes >= size) this.#dirty.delete(sector);
  }

  /** A sync carries over what is there when it starts, however long it takes. */
  startSync(): { finish: () => void; lose: () => void } {
    const { size } = this.#live;
    const caught = [...this.#dirty].map(([sector, write]) => ({ sector, write, bytes: this.#sector(sector) }));
    const clean = (): void => {
      for (const { sector, write } of caught) if (this.#dirty.get(sector) === write) this.#dirty.delete(sector);
    };
    return {
      finish: () => {
        this.#durable.resize(Math.max(size, this.#durable.size));
        for (const { sector, bytes } of caught) this.#carry(sector, bytes);
        this.#durable.resize(size);
        clean();
      },
      lose: clean,
    };
  }

  afterPowerCut(random: Seeded): SimulatedContent {
    const [least, most] = [this.#durable.size, this.#live.size];
    const sectors = survivors(
      [...this.#dirty.keys()].sort((a, b) => a - b),
      random,
    );
    this.#durable.resize(Math.max(least, most));
    for (const sector of sectors) this.#carry(sector, this.#sector(sector));
    const between = least + Math.round((most - least) * random.fraction());
    this.#durable.resize([least, most, between][Math.floor(random.fraction() * 3)] ?? most);
    return new SimulatedContent(this.#durable.slice(0, this.#durable.size));
  }

  /** One bit of the medium turns over. What the kernel still has in its cache does not hide it. */
  flip(position: number, bit: number): void {
    for (const plane of [this.#live, this.#durable]) {
      if (position >= plane.size) continue;
      const byte = plane.slice(position, position + 1);
      byte[0] = (byte[0] ?? 0) ^ (1 << bit);
      plane.write(position, byte);
    }
  }

  /** Of the sectors that the newest write touched, one lands at another place of the disk when it is carried over. */
  misdirect(place: Misdirection, random: Seeded): void {
    const newest = [...this.#dirty].filter(([, write]) => write === this.#writes);
    const sector = newest[Math.floor(random.fraction() * newest.length)]?.[0];
    if (sector !== undefined) this.#misdirected.set(sector, place);
  }

  #carry(sector: number, bytes: Uint8Array): void {
    const place = this.#misdirected.get(sector);
    if (place === undefined) {
      this.#durable.write(sector * sectorBytes, bytes);
      return;
    }
    this.#misdirected.delete(sector);
    const { content } = place;
    const sectors = Math.ceil(content.#durable.size / sectorBytes);
    if (sectors === 0) return;
    const start = Math.floor(place.fraction * sectors) * sectorBytes;
    content.#durable.write(start, bytes.subarray(0, content.#durable.size - start));
  }

  #sector(sector: number): Uint8Array {
    return this.#live.slice(sector * sectorBytes, Math.min((sector + 1) * sectorBytes, this.#live.size));
  }
}

/** Another place of the disk: a file, and how far into it. */
export interface Misdirection {
  readonly content: SimulatedContent;
  readonly fraction: number;
}

/** Bytes that grow, with room to spare, so that appending costs no more than what is appended. Beyond the size all are zeros. */
class Plane {
  #bytes: Uint8Array;
  #size: number;

  constructor(bytes: Uint8Array) {
    // Not `slice`: that of a Buffer is no copy.
    this.#bytes = new Uint8Array(bytes);
    this.#size = bytes.length;
  }

  get size(): number {
    return this.#size;
  }

  slice(start: number, end: number): Uint8Array {
    return this.#bytes.slice(start, Math.max(start, end));
  }

  write(position: number, bytes: Uint8Array): void {
    this.resize(Math.max(this.#size, position + bytes.length));
    this.#bytes.set(bytes, position);
  }

  resize(size: number): void {
    if (size > this.#bytes.length) {
      const roomier = new Uint8Array(Math.max(size, this.#bytes.length * 2));
      roomier.set(this.#bytes);
      this.#bytes = roomier;
    }
    if (size < this.#size) this.#bytes.fill(0, size, this.#size);
    this.#size = size;
  }
}
