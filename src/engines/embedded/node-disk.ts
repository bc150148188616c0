/// <reference path="./fs-native-extensions.d.ts" />
import { writeSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { tryLock } from 'fs-native-extensions';
import { assert } from '../../kv/assert.ts';
import { DirectoryLockedError } from '../../kv/errors.ts';
import type { Disk, DiskFile } from './disk.ts';

/** The file that is locked. It stays when the lock is released: removing it would let two processes lock two files of one name. */
const lockName = 'lock';

/** Reads in pieces, since the kernel reads no more than 2 GiB at once. */
const readBytesMax = 1_073_741_824;

/** The disk of the machine. Makes the directory where it is missing, and makes it durable that it is there. */
export async function nodeDisk(directory: string): Promise<Disk> {
  const path = resolve(directory);
  await makeDirectory(path);
  return Object.freeze({
    list: async () =>
      (await readdir(path, { withFileTypes: true })).filter((entry) => entry.isFile()).map(({ name }) => name),
    read: (name: string) => readWhole(join(path, name)),
    create: async (name: string) => new NodeFile(await open(join(path, name), 'wx'), 0),
    open: async (name: string) => {
      // Not for appending ('a'): that would send an overwrite to the end as well.
      const handle = await open(join(path, name), 'r+');
      return new NodeFile(handle, (await handle.stat()).size);
    },
    rename: (from: string, to: string) => rename(join(path, from), join(path, to)),
    remove: (name: string) => rm(join(path, name)),
    sync: () => syncDirectory(path),
    lock: () => lockDirectory(path),
  });
}

export async function isDirectory(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() === true;
}

class NodeFile implements DiskFile {
  readonly #handle: FileHandle;
  #size: number;

  constructor(handle: FileHandle, size: number) {
    this.#handle = handle;
    this.#size = size;
  }

  get size(): number {
    return this.#size;
  }

  read(position: number, length: number): Promise<Uint8Array> {
    return readFrom(this.#handle, position, length);
  }

  append(bytes: Uint8Array): void {
    this.#size += this.#write(this.#size, bytes);
  }

  overwrite(position: number, bytes: Uint8Array): void {
    assert(position + bytes.length <= this.#size, 'an overwrite stays within the file');
    this.#write(position, bytes);
  }

  async truncate(size: number): Promise<void> {
    await this.#handle.truncate(size);
    this.#size = size;
  }

  sync(): Promise<void> {
    return this.#handle.datasync();
  }

  close(): Promise<void> {
    return this.#handle.close();
  }

  /** The kernel may write less than it is given, say where the disk is about to be full; the rest then fails by itself. */
  #write(position: number, bytes: Uint8Array): number {
    let written = 0;
    while (written < bytes.length) {
      written += writeSync(this.#handle.fd, bytes, written, bytes.length - written, position + written);
    }
    return written;
  }
}

async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  // A directory's entry stands in its parent, so the parents are synced, up to that of the first directory that was made.
  for (let made = path; ; made = dirname(made)) {
    await syncDirectory(dirname(made));
    if (made === first || made === dirname(made)) return;
  }
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function readWhole(path: string): Promise<Uint8Array> {
  const handle = await open(path, 'r');
  try {
    return await readFrom(handle, 0, (await handle.stat()).size);
  } finally {
    await handle.close();
  }
}

async function readFrom(handle: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let at = 0;
  while (at < length) {
    const { bytesRead } = await handle.read(bytes, at, Math.min(length - at, readBytesMax), position + at);
    if (bytesRead === 0) break;
    at += bytesRead;
  }
  return bytes.subarray(0, at);
}

async function lockDirectory(path: string): Promise<() => Promise<void>> {
  const lockPath = join(path, lockName);
  // 'a+' creates the file where it is missing, and leaves the owner's words alone where it is not.
  const handle = await open(lockPath, 'a+');
  try {
    if (!tryLock(handle.fd)) {
      const owner = (await handle.readFile('utf8')).trim();
      throw new DirectoryLockedError(path, owner === '' ? 'another process' : owner);
    }
    await handle.truncate(0);
    await handle.write(`process ${process.pid} on ${hostname()} since ${startedAt()}\n`);
  } catch (cause) {
    await handle.close();
    throw cause;
  }
  return async () => {
    await handle.truncate(0);
    await handle.close();
  };
}

/** When this process began: with its number, that names it. */
function startedAt(): string {
  return new Date(performance.timeOrigin).toISOString();
}
