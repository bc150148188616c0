import { SimulatedDisk } from '../../testing/simulated-disk.ts';
import { openStore, type EmbeddedStore, type OpenOptions } from './embedded-store.ts';
import type { ReadableDisk } from './inspect-store.ts';

export type Files = ReadonlyMap<string, Uint8Array>;

/** The files of a store that was written to, and closed. */
export async function filesOf(options: OpenOptions, write: (store: EmbeddedStore) => Promise<void>): Promise<Files> {
  const disk = new SimulatedDisk({ seed: 1 });
  const store = await openStore({ ...options, disk });
  await write(store);
  await store.close();
  return new Map(await Promise.all((await disk.list()).map(async (name) => [name, await disk.read(name)] as const)));
}

export function readOnly(files: Files): ReadableDisk {
  return {
    list: async () => [...files.keys()],
    read: async (name) => files.get(name)?.slice() ?? Promise.reject(new Error(`no ${name}`)),
  };
}

export function withFile(files: Files, name: string, bytes: Uint8Array): Files {
  return new Map([...files, [name, bytes]]);
}

export function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = (copy[at] ?? 0) ^ 0xff;
  return copy;
}

export function without(files: Files, name: string): Files {
  return new Map([...files].filter(([other]) => other !== name));
}
