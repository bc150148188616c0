import type { Environment } from './environment.ts';

/** Of rand_a: RFC 9562, section 6.2, method 1, "fixed bit-length dedicated counter". */
const counterMax = 2 ** 12 - 1;

/**
 * A source of UUIDs of version 7 (RFC 9562, section 5.7), each greater than the one before, also within a millisecond and when the
 * clock goes back. In order of time, because stores keep fresh keys side by side then; with 62 bits that nobody can
 * guess, because who guesses a key can ask for its answer.
 */
export function uuidV7Source(environment: Environment): () => string {
  let lastMs = -1;
  let counter = 0;
  return () => {
    const nowMs = environment.now();
    const bytes = environment.randomBytes(16);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (nowMs > lastMs || counter === counterMax) {
      // A millisecond that is full borrows the next one: "may increment the timestamp ahead of the actual time".
      lastMs = Math.max(nowMs, lastMs + 1);
      // "The leftmost counter bit set to zero", so that at least 2,048 have room.
      counter = view.getUint16(6) >>> 5;
    } else {
      counter += 1;
    }
    view.setUint32(0, Math.floor(lastMs / 2 ** 16));
    view.setUint16(4, lastMs % 2 ** 16);
    view.setUint16(6, 0x7000 | counter);
    view.setUint8(8, 0x80 | (view.getUint8(8) & 0x3f));
    const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  };
}
