import type { World } from '../../kv/world.ts';
import type { Disk, DiskFile } from './disk.ts';
import { encodeHeader, logBeginning } from './file-header.ts';
import { saltBytes } from './log-format.ts';

/** A file that is not complete yet. A crash may leave one; it is removed at the next opening. */
const temporarySuffix = '.tmp';
const namePattern = /^(log|checkpoint)-(\d{12})$/;

export function segmentName(number: number): string {
  return `log-${digits(number)}`;
}

/** A checkpoint has the number of the segment that goes on from it. */
export function checkpointName(number: number): string {
  return `checkpoint-${digits(number)}`;
}

/** The only file of a backup. */
export const backupName = 'backup';

export function temporaryName(name: string): string {
  return `${name}${temporarySuffix}`;
}

/** The number in the name of a segment or a checkpoint; `undefined` for any other name. */
export function numberIn(kind: 'log' | 'checkpoint', name: string): number | undefined {
  const found = namePattern.exec(name);
  return found?.[1] === kind ? Number(found[2]) : undefined;
}

export function isUnfinished(name: string): boolean {
  return name.endsWith(temporarySuffix) && isOfStore(name.slice(0, -temporarySuffix.length));
}

/** Whether a file of this name belongs to a store or is a backup. */
export function isOfStore(name: string): boolean {
  return name === backupName || namePattern.test(name);
}

/** A segment that has its name, and to which nothing was written yet. */
export interface EmptySegment {
  readonly number: number;
  readonly file: DiskFile;
  readonly salt: Uint8Array;
}

/**
 * Makes an empty segment: its header is written under a temporary name, synced, read back, and only then renamed, and the
 * directory synced. So a crash leaves either no segment of this number or one with a header.
 *
 * @throws SegmentNotMade; or what the file system answers where it was to have its name: then nothing is known of the directory
 */
export async function createSegment(disk: Disk, world: World, number: number): Promise<EmptySegment> {
  const name = segmentName(number);
  const salt = world.randomBytes(saltBytes);
  const header = encodeHeader('log', { number, salt, position: logBeginning });
  try {
    await writeWhole(disk, name, async (file) => file.append(header));
    if (!header.equals(await disk.read(temporaryName(name)))) throw new Error(`${name} ${notWhatWasWritten}`);
  } catch (cause) {
    throw new SegmentNotMade(`${name} could not be made: ${cause instanceof Error ? cause.message : String(cause)}`, {
      cause,
    });
  }
  await disk.rename(temporaryName(name), name);
  await disk.sync();
  return { number, file: await disk.open(name), salt };
}

export const notWhatWasWritten = 'was read back and is not what was written; the disk cannot be trusted';

/** There was no room for it, or no handle; whatever was there before is untouched. */
export class SegmentNotMade extends Error {}

/**
 * Writes a file under a temporary name, and makes its content durable. Where that fails, nothing of it stays if the disk
 * lets it be removed.
 */
export async function writeWhole(disk: Disk, name: string, write: (file: DiskFile) => Promise<void>): Promise<void> {
  const temporary = temporaryName(name);
  if ((await disk.list()).includes(temporary)) await disk.remove(temporary);
  const file = await disk.create(temporary);
  try {
    try {
      await write(file);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (cause) {
    // What cannot be removed now is removed by the next try, or the next opening.
    await disk.remove(temporary).catch(() => undefined);
    throw cause;
  }
}

function digits(number: number): string {
  return String(number).padStart(12, '0');
}
