import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { encodeSegmentHeader, entriesOf, readRecord, readSegmentHeader, RecordChain } from './log-format.ts';

const salt = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);

// Computed by a program of its own from the layout in docs/log-format.md. If this has to change, so has the format version.
const header = '53454d454c4c4f47 01000000 cefadbe6 0102030405060708 0100000000000000';
const group =
  'addbc909 0a000000 0100000000000000 0000000000000000 0102030405060708 cefadbe6 02000000' +
  '01000000 61 01000000 62 000000000000';
const mark = '1607cca3 00000000 0100000000000000 0100000000000000 0102030405060708 addbc909 00000000';

test('encodeSegmentHeader and RecordChain write the bytes of the documented example', () => {
  const headerBytes = encodeSegmentHeader(1, salt);
  const chain = new RecordChain(salt, 0, headerBytes.readUInt32LE(12));
  expect(headerBytes.toString('hex')).toBe(plain(header));
  expect(chain.group([Buffer.from('a'), Buffer.from('b')], 0).toString('hex')).toBe(plain(group));
  expect(chain.mark().toString('hex')).toBe(plain(mark));
});

test('docs/log-format.md shows this example', () => {
  const document = readFileSync(new URL('../../../docs/log-format.md', import.meta.url), 'utf8').replaceAll(/\s/g, '');
  expect(document).toContain(`header${plain(header)}group${plain(group)}mark${plain(mark)}`);
});

test('readRecord and entriesOf read the documented example', () => {
  const bytes = Buffer.from(plain(header) + plain(group) + plain(mark), 'hex');
  expect(readSegmentHeader(bytes)).toMatchObject({ kind: 'header', header: { number: 1, salt } });
  const first = readRecord(bytes, 32, salt);
  if (first === undefined) throw new Error('the example begins with a record');
  expect(first).toMatchObject({ offset: 32, end: 88, sequence: 1, watermark: 0, entryCount: 2 });
  expect([...entriesOf(bytes, first)].map((entry) => Buffer.from(entry).toString())).toEqual(['a', 'b']);
  expect(readRecord(bytes, 88, salt)).toMatchObject({ end: 128, sequence: 1, watermark: 1, entryCount: 0 });
});

test('readRecord finds nothing beyond the end, under another salt, or where the length is out of bounds', () => {
  const bytes = Buffer.from(plain(header) + plain(group), 'hex');
  expect(readRecord(bytes, bytes.length, salt)).toBeUndefined();
  expect(readRecord(bytes, 32, new Uint8Array(8))).toBeUndefined();
  bytes.writeUInt32LE(0xffff_ffff, 36);
  expect(readRecord(bytes, 32, salt)).toBeUndefined();
});

function plain(hex: string): string {
  return hex.replaceAll(' ', '');
}
