import { join } from 'node:path';
import { DamagedError } from 'semel';
import type { ServiceConfig } from './command-line.ts';
import { isDiskFull } from './disk-full.ts';

/** Why the service did not start, or did not stop cleanly, in one line that names the place. */
export function startFailure(
  error: unknown,
  { place, host, port }: Pick<ServiceConfig, 'place' | 'host' | 'port'>,
): string {
  if (!(error instanceof Error)) return String(error);
  if ('code' in error && error.code === 'EADDRINUSE') return `${host}:${port} is in use by another process`;
  const reason = error.message.replaceAll('\n', ' ');
  if (place.engine !== 'embedded') return reason;
  const { directory } = place;
  if (error instanceof DamagedError) return reason.replace(error.file, join(directory, error.file));
  if (isDiskFull(error)) return `the disk of ${directory} is full; free space on it, then start again (${reason})`;
  return reason;
}
