/**
 * One directory, injected: all that the embedded engine knows of a disk. What a call did is certain to outlive a power cut
 * only after the `sync` that covers it: a file's for its bytes and its size, the directory's for its entries.
 */
export interface Disk {
  /** The names of the files, in no order. */
  list(): Promise<readonly string[]>;
  read(name: string): Promise<Uint8Array>;
  /** An empty file. Fails where the name exists. */
  create(name: string): Promise<DiskFile>;
  /** A file that exists, to append to. */
  open(name: string): Promise<DiskFile>;
  /** Atomic: after a crash the file has the one name or the other. */
  rename(from: string, to: string): Promise<void>;
  remove(name: string): Promise<void>;
  /** Makes the directory's entries durable: what was created, renamed, removed. */
  sync(): Promise<void>;
  /**
   * One owner at a time. The kernel drops the lock at its owner's death. Throws DirectoryLockedError, which names the
   * owner, where another has it. The answer releases it.
   */
  lock(): Promise<() => Promise<void>>;
}

export interface DiskFile {
  readonly size: number;
  /** `length` bytes from `position` on, fewer only where the file ends before. */
  read(position: number, length: number): Promise<Uint8Array>;
  /** Writes all of `bytes` at the end before it returns, or throws; then any part of them may be there. */
  append(bytes: Uint8Array): void;
  /** Writes `bytes` over what stands at `position`, within the file's size, before it returns. */
  overwrite(position: number, bytes: Uint8Array): void;
  truncate(size: number): Promise<void>;
  /** Makes the bytes and the size durable, off the calling thread. After a failure, nothing is known of what was unsynced. */
  sync(): Promise<void>;
  close(): Promise<void>;
}
