import { assert } from '../../kv/assert.ts';
import { DamagedError } from '../../kv/errors.ts';
import type { Disk, DiskFile } from './disk.ts';
import { encodeHeader, type FileHeader, type FileKind, headerBytes, logBeginning, readHeader } from './file-header.ts';
import {
  type ChainPosition,
  entriesOf,
  type LogRecord,
  payloadBytesMax,
  readRecord,
  RecordChain,
  recordHeaderBytes,
} from './log-format.ts';
import { notWhatWasWritten, temporaryName, writeWhole } from './log-segment.ts';

/**
 * A file that holds the whole state at one place in the log: a checkpoint, or a backup. It consists of the same records as
 * the log, each group one slice of the state, and ends in a mark. It gets its name only after it was synced and read back, so
 * whatever is wrong with a named one is damage.
 */
export interface StateFile {
  readonly kind: Exclude<FileKind, 'log'>;
  readonly name: string;
  readonly header: FileHeader;
}

/** All that reading one needs. */
export type ReadableFile = Pick<DiskFile, 'size' | 'read'>;

/** What writing and reading do between two slices: they let others run, or throw where there is no need to go on. */
export type BetweenSlices = (bytesWritten: number) => Promise<void>;

/**
 * Writes the file under its temporary name, and reads it back. Each entry is a slice. The answer is its size.
 */
export async function writeStateFile(
  disk: Disk,
  { kind, name, header }: StateFile,
  entries: Iterable<Uint8Array | undefined> | AsyncIterable<Uint8Array>,
  betweenSlices: BetweenSlices,
): Promise<number> {
  const chain = new RecordChain(header.salt, logBeginning);
  await writeWhole(disk, name, async (file) => {
    file.append(encodeHeader(kind, header));
    let syncedBytes = 0;
    for await (const entry of entries) {
      if (entry !== undefined) file.append(chain.group([entry], 0));
      await betweenSlices(file.size);
      if (file.size - syncedBytes < syncBytes) continue;
      syncedBytes = file.size;
      await file.sync();
    }
    file.append(chain.mark());
  });
  const file = await disk.open(temporaryName(name));
  try {
    const end = await readToTheEnd(readStateFile(file, { kind, name, number: header.number }), () =>
      betweenSlices(file.size),
    );
    if (end.sequence !== chain.sequence || end.checksum !== chain.checksum)
      throw new DamagedError(name, file.size, 'it is of another state');
    return file.size;
  } catch (cause) {
    await disk.remove(temporaryName(name)).catch(() => undefined);
    throw cause instanceof DamagedError ? new Error(`${name} ${notWhatWasWritten}`, { cause }) : cause;
  } finally {
    await file.close();
  }
}

/** So that no sync has so much to carry that those of the log wait long behind it. */
const syncBytes = 4_194_304;

async function readToTheEnd(
  entries: AsyncGenerator<Uint8Array, ChainPosition>,
  betweenSlices: () => Promise<void>,
): Promise<ChainPosition> {
  for (;;) {
    const next = await entries.next();
    if (next.done === true) return next.value;
    await betweenSlices();
  }
}

/** The entries of a state file, as views: copy what stays. Answers where its chain ends. @throws DamagedError */
export async function* readStateFile(
  file: ReadableFile,
  { kind, name, number }: { readonly kind: StateFile['kind']; readonly name: string; readonly number: number },
): AsyncGenerator<Uint8Array, ChainPosition> {
  const header = await stateFileHeader(file, { kind, name, number });
  let position: ChainPosition = logBeginning;
  for await (const { record, window, offset } of recordsOf(file, kind, header)) {
    if (record === undefined) throw new DamagedError(name, offset, 'no record can be read here');
    const isMark = record.entryCount === 0;
    if (record.sequence !== position.sequence + (isMark ? 0 : 1) || record.previous !== position.checksum) {
      throw new DamagedError(name, offset, 'the chain of checksums is broken');
    }
    const end = offset + record.end - record.offset;
    if (isMark) {
      if (end !== file.size) throw new DamagedError(name, end, 'it goes on behind its end');
      return position;
    }
    position = record;
    yield* entriesOf(window, record);
  }
  throw new DamagedError(name, file.size, 'its end is missing');
}

/** @throws DamagedError */
export async function stateFileHeader(
  file: ReadableFile,
  { kind, name, number }: { readonly kind: StateFile['kind']; readonly name: string; readonly number: number },
): Promise<FileHeader> {
  const read = readHeader(kind, number, bufferOf(await file.read(0, headerBytes(kind))));
  if (read.kind === 'bad') throw new DamagedError(name, 0, read.reason);
  return read.header;
}

interface PlacedRecord {
  readonly record: LogRecord | undefined;
  /** The record's offsets are within this. */
  readonly window: Buffer;
  /** Where in the file it is. */
  readonly offset: number;
}

/** A state may be larger than anybody wants to hold twice, so it is read in windows. */
const windowBytes = 1_048_576;
const recordBytesMax = recordHeaderBytes + payloadBytesMax + 8;

async function* recordsOf(file: ReadableFile, kind: FileKind, { salt }: FileHeader): AsyncGenerator<PlacedRecord> {
  let window: Buffer = Buffer.alloc(0);
  let windowAt = headerBytes(kind);
  let offset = windowAt;
  while (offset < file.size) {
    let record = readRecord(window, offset - windowAt, salt);
    for (const length of [windowBytes, recordBytesMax]) {
      if (record !== undefined || windowAt + window.length >= file.size) break;
      window = bufferOf(await file.read(offset, length));
      windowAt = offset;
      record = readRecord(window, 0, salt);
    }
    yield { record, window, offset };
    assert(record !== undefined, 'nobody reads on behind what cannot be read');
    offset = windowAt + record.end;
  }
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
