import { InvalidArgumentError } from '../../kv/errors.ts';
import type { Disk } from './disk.ts';

/** @throws InvalidArgumentError, or what the file system answers */
export async function openDirectory(field: string, directory: unknown): Promise<Disk> {
  if (typeof directory !== 'string' || directory === '') throw new InvalidArgumentError(field, directory, 'a path');
  // Loaded here only, because it brings a native module, which a store purely in memory can do without.
  const { nodeDisk } = await import('./node-disk.ts');
  return nodeDisk(directory);
}
