import { InvalidArgumentError } from '../../kv/errors.ts';
import type { Disk } from './disk.ts';

/** Makes the directory where it is missing, unless it is one that `exists`. @throws InvalidArgumentError, or what the file system answers */
export async function openDirectory(field: string, directory: unknown, which: 'any' | 'exists' = 'any'): Promise<Disk> {
  if (typeof directory !== 'string' || directory === '') throw new InvalidArgumentError(field, directory, 'a path');
  // Loaded here only, because it brings a native module, which a store purely in memory can do without.
  const { isDirectory, nodeDisk } = await import('./node-disk.ts');
  if (which === 'exists' && !(await isDirectory(directory))) {
    throw new InvalidArgumentError(field, directory, 'a directory that exists');
  }
  return nodeDisk(directory);
}
