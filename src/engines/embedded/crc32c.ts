import { assert } from '../../kv/assert.ts';

/** Castagnoli's polynomial, bits reversed: RFC 3720, appendix B.4. */
const polynomial = 0x82f63b78;
const lanes = 8;
const tables = makeTables();

/**
 * CRC32C of `bytes[start, end)`. Eight bytes a step, by eight tables (Intel's slicing-by-8): about 1 GB/s in plain
 * TypeScript, far above what a log writes between two syncs, so a native addon is not needed.
 */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length): number {
  assert(0 <= start && start <= end && end <= bytes.length, 'the checksum covers bytes that are there');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let crc = ~0;
  let at = start;
  for (; at + lanes <= end; at += lanes) {
    const low = crc ^ view.getInt32(at, true);
    const high = view.getInt32(at + 4, true);
    crc =
      entry(7, low & 0xff) ^
      entry(6, (low >>> 8) & 0xff) ^
      entry(5, (low >>> 16) & 0xff) ^
      entry(4, low >>> 24) ^
      entry(3, high & 0xff) ^
      entry(2, (high >>> 8) & 0xff) ^
      entry(1, (high >>> 16) & 0xff) ^
      entry(0, high >>> 24);
  }
  for (; at < end; at += 1) crc = (crc >>> 8) ^ entry(0, (crc ^ view.getUint8(at)) & 0xff);
  return ~crc >>> 0;
}

function entry(lane: number, byte: number): number {
  return tables[lane * 256 + byte] ?? 0;
}

/** Lane n holds the checksum of a byte that n zero bytes follow. */
function makeTables(): Int32Array {
  const all = new Int32Array(lanes * 256);
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    all[byte] = crc;
  }
  for (let at = 256; at < all.length; at += 1) {
    const before = all[at - 256] ?? 0;
    all[at] = (before >>> 8) ^ (all[before & 0xff] ?? 0);
  }
  return all;
}
