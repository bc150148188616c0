import { SimulatedDisk } from '../../testing/simulated-disk.ts';

/** Gives back what stood there at another time instead of what was written to an unfinished checkpoint. */
export class StaleDisk extends SimulatedDisk {
  stale: Uint8Array | undefined;

  override async open(name: string): ReturnType<SimulatedDisk['open']> {
    const file = await super.open(name);
    const { stale } = this;
    if (stale === undefined || !name.startsWith('checkpoint')) return file;
    const read = async (position: number, length: number) => stale.slice(position, position + length);
    return { ...file, size: stale.length, read };
  }
}

/** Has no room for another file's name. */
export class NarrowDisk extends SimulatedDisk {
  isNarrow = false;

  override async create(name: string): ReturnType<SimulatedDisk['create']> {
    if (this.isNarrow) throw Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' });
    return super.create(name);
  }
}

/** Gives back another byte than was written to an unfinished file. */
export class LyingDisk extends SimulatedDisk {
  isLying = false;

  override async open(name: string): ReturnType<SimulatedDisk['open']> {
    const file = await super.open(name);
    if (!this.isLying || !name.startsWith('checkpoint')) return file;
    return {
      ...file,
      size: file.size,
      async read(position: number, length: number) {
        const bytes = await file.read(position, length);
        bytes[bytes.length - 50] = 0xff;
        return bytes;
      },
    };
  }
}
