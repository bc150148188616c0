/** Whether an error, or what caused it, is that the disk is full, or what a quota leaves of it. */
export function isDiskFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ('code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')) return true;
  return isDiskFull(error.cause);
}

/** What to do about a store that a failed write has stopped. */
export function wayToRecover(cause: unknown): string {
  return isDiskFull(cause)
    ? 'the disk is full: free space on it, then start the service again'
    : 'start the service again to recover';
}
