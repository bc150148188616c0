/**
 * The faults, each at the n-th call of one kind on the files of the store: `strace` counts a call by its number and thread, so
 * a class has one call, and the process has one thread for its files (UV_THREADPOOL_SIZE=1).
 *
 * - `kill`: SIGKILL as the call is entered, so that it is not made. What was written before stays in the kernel, so a kill shows
 *   what a process that dies leaves, and not what a power cut does: a sync that was skipped, of a file or of the directory, cannot
 *   be seen here. The simulated disk is for that.
 * - an error: the call is not made and answers so; with `on`, all after it as well, as on a disk that stays dead or full.
 * - `nothing`: a write that takes 0 bytes, the one short write that can be injected without lying, since an injected call is not
 *   made. Real short writes come from a limit on the size of files (`setrlimit(2)`): the write that crosses it takes what fits, and
 *   the next one fails with EFBIG.
 */
export interface FaultClass {
  readonly name: string;
  readonly strike: Strike;
}

export type Strike =
  | {
      readonly by: 'strace';
      readonly call: string;
      readonly inject: string;
      readonly isForGood: boolean;
      /** Whether somebody has to be told of it: a caller, or the observer of the store. */
      readonly mustShow: boolean;
    }
  | { readonly by: 'file-size-limit'; readonly stepBytes: number };

/** The calls by which a store comes to be on the disk. */
const changes: readonly string[] = ['fdatasync', 'fsync', 'pwrite64', 'rename'];

export const faultClasses: readonly FaultClass[] = [
  ...strikes('fdatasync', 'kill', 'EIO', 'EIO on', 'ENOSPC'),
  ...strikes('fsync', 'kill', 'EIO'),
  ...strikes('pwrite64', 'kill', 'EIO', 'ENOSPC', 'ENOSPC on', 'nothing'),
  ...strikes('write', 'kill', 'EIO', 'ENOSPC'),
  ...strikes('openat', 'kill', 'EIO', 'ENOSPC'),
  ...strikes('mkdir', 'kill', 'EIO'),
  ...strikes('rename', 'kill', 'EIO', 'ENOSPC'),
  ...strikes('unlink', 'kill', 'EIO'),
  ...strikes('ftruncate', 'kill', 'EIO'),
  ...strikes('pread64', 'kill', 'EIO'),
  ...strikes('getdents64', 'kill', 'EIO'),
  // No divisor of any part of the log, so that the limit falls on every kind of place.
  { name: 'file size limit', strike: { by: 'file-size-limit', stepBytes: 37 } },
];

function strikes(call: string, ...how: readonly string[]): readonly FaultClass[] {
  return how.map((what) => {
    const isForGood = what.endsWith(' on');
    const inject = injectionOf(what.replace(/ on$/, ''));
    const mustShow = changes.includes(call) && inject.startsWith('error=');
    const strike: Strike = { by: 'strace', call, inject, isForGood, mustShow };
    return { name: `${call} ${what}`, strike };
  });
}

function injectionOf(what: string): string {
  if (what === 'kill') return 'signal=SIGKILL';
  return what === 'nothing' ? 'retval=0' : `error=${what}`;
}
