import { assert } from '../../kv/assert.ts';
import { crc32c } from './crc32c.ts';
import { saltBytes, type ChainPosition } from './log-format.ts';

/**
 * How each file of a store begins, as docs/log-format.md draws it. All numbers are little-endian. A segment of the log has a
 * header of 32 bytes. A checkpoint's and a backup's go on with the place in the log at which their state was: 48 bytes.
 */
export type FileKind = 'log' | 'checkpoint' | 'backup';

const magics = Object.freeze({ log: 'SEMELLOG', checkpoint: 'SEMELCKP', backup: 'SEMELBAK' });
const formatVersion = 2;
const at = Object.freeze({ magic: 0, version: 8, checksum: 12, salt: 16, number: 24, sequence: 32, chain: 40 });
const lengths = Object.freeze({ log: 32, checkpoint: 48, backup: 48 });

export function headerBytes(kind: FileKind): number {
  return lengths[kind];
}

export interface FileHeader {
  readonly number: number;
  readonly salt: Uint8Array;
  /** Of a checkpoint: what the first group of the segment of its number continues. A segment's is the beginning of a log. */
  readonly position: ChainPosition;
}

export type FileHeaderRead =
  | { readonly kind: 'header'; readonly header: FileHeader }
  | { readonly kind: 'bad'; readonly reason: string };

export function encodeHeader(kind: FileKind, { number, salt, position }: FileHeader): Buffer {
  assert(salt.length === saltBytes, 'a salt has its length');
  const bytes = Buffer.alloc(headerBytes(kind));
  bytes.write(magics[kind], at.magic, 'latin1');
  bytes.writeUInt32LE(formatVersion, at.version);
  bytes.set(salt, at.salt);
  bytes.writeBigUInt64LE(BigInt(number), at.number);
  if (kind !== 'log') {
    bytes.writeBigUInt64LE(BigInt(position.sequence), at.sequence);
    bytes.writeUInt32LE(position.checksum, at.chain);
  }
  bytes.writeUInt32LE(headerChecksum(bytes), at.checksum);
  return bytes;
}

/** Reads the header of a file whose first bytes these are. `number` is that of its name. */
export function readHeader(kind: FileKind, number: number, file: Buffer): FileHeaderRead {
  const length = headerBytes(kind);
  if (file.length < length) return bad(`it ends after ${file.length} bytes, within its header`);
  const bytes = file.subarray(0, length);
  if (bytes.toString('latin1', at.magic, at.version) !== magics[kind])
    return bad(`it does not begin as a ${kind} does`);
  if (bytes.readUInt32LE(at.checksum) !== headerChecksum(bytes)) return bad("its header's checksum is wrong");
  const version = bytes.readUInt32LE(at.version);
  if (version !== formatVersion) {
    return bad(`it has format version ${version}; this release reads version ${formatVersion}`);
  }
  const found = Number(bytes.readBigUInt64LE(at.number));
  if (found !== number) return bad(`it is number ${found} by its header`);
  const salt = Uint8Array.from(bytes.subarray(at.salt, at.salt + saltBytes));
  const position =
    kind === 'log'
      ? logBeginning
      : { sequence: Number(bytes.readBigUInt64LE(at.sequence)), checksum: bytes.readUInt32LE(at.chain) };
  return { kind: 'header', header: { number, salt, position } };
}

/** What the first group of a log continues. */
export const logBeginning: ChainPosition = Object.freeze({ sequence: 0, checksum: 0 });

/** Covers the whole header, itself taken as zero. */
function headerChecksum(bytes: Uint8Array): number {
  const copy = Buffer.from(bytes);
  copy.writeUInt32LE(0, at.checksum);
  return crc32c(copy);
}

function bad(reason: string): FileHeaderRead {
  return { kind: 'bad', reason };
}
