import { expect, test } from 'vitest';
import { crc32c } from './crc32c.ts';

test.each([
  ['nothing', new Uint8Array(0), 0],
  ['the check string', Buffer.from('123456789'), 0xe3069283],
  ['32 zeros (RFC 3720, B.4)', new Uint8Array(32), 0x8a9136aa],
  ['32 bytes of all ones (RFC 3720, B.4)', new Uint8Array(32).fill(0xff), 0x62a8ab43],
  ['32 rising bytes (RFC 3720, B.4)', Uint8Array.from({ length: 32 }, (_, index) => index), 0x46dd794e],
  ['32 falling bytes (RFC 3720, B.4)', Uint8Array.from({ length: 32 }, (_, index) => 31 - index), 0x113fdb5c],
])('crc32c agrees with the published value for %s', (_, bytes, expected) => {
  expect(crc32c(bytes)).toBe(expected);
});

test('crc32c agrees with the bitwise definition at every length and alignment', () => {
  const bytes = Uint8Array.from({ length: 64 }, (_, index) => (index * 167 + 13) & 0xff);
  for (let start = 0; start < 16; start += 1) {
    for (let end = start; end <= bytes.length; end += 1) {
      expect(crc32c(bytes, start, end)).toBe(bitwise(bytes.subarray(start, end)));
    }
  }
});

test('crc32c refuses a range outside of its bytes', () => {
  expect(() => crc32c(new Uint8Array(8), 4, 9)).toThrow('assertion failed');
});

function bitwise(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}
