import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { encodeHeader, logBeginning, readHeader } from './file-header.ts';
import { entriesOf, readRecord, RecordChain } from './log-format.ts';

const salt = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);

// Computed by a program of its own from the layout in docs/log-format.md. If this has to change, so has the format version.
const segment = {
  header: '53454d454c4c4f47 02000000 adcbe72d 0102030405060708 0100000000000000',
  group:
    '084c4c87 0a000000 0100000000000000 0000000000000000 0102030405060708 00000000 02000000' +
    '01000000 61 01000000 62 000000000000',
  mark: 'e71b53fc 00000000 0100000000000000 0100000000000000 0102030405060708 084c4c87 00000000',
  next: '486355cc 05000000 0200000000000000 0100000000000000 0102030405060708 084c4c87 01000000 01000000 63 000000',
};
const checkpoint = {
  header: '53454d454c434b50 02000000 834af130 0102030405060708 0200000000000000 0100000000000000 084c4c87 00000000',
  group: '3b9f9db1 06000000 0100000000000000 0000000000000000 0102030405060708 00000000 01000000 02000000 6162 0000',
  mark: 'a5743b3c 00000000 0100000000000000 0100000000000000 0102030405060708 3b9f9db1 00000000',
};

test('encodeHeader and RecordChain write the bytes of the documented segment', () => {
  const header = encodeHeader('log', { number: 1, salt, position: logBeginning });
  const chain = new RecordChain(salt, logBeginning);
  expect(header.toString('hex')).toBe(plain(segment.header));
  expect(chain.group([Buffer.from('a'), Buffer.from('b')], 0).toString('hex')).toBe(plain(segment.group));
  expect(chain.mark().toString('hex')).toBe(plain(segment.mark));
  expect(chain.group([Buffer.from('c')], 1).toString('hex')).toBe(plain(segment.next));
});

test('encodeHeader and RecordChain write the bytes of the documented checkpoint', () => {
  const position = { sequence: 1, checksum: Buffer.from('084c4c87', 'hex').readUInt32LE() };
  const chain = new RecordChain(salt, logBeginning);
  const header = encodeHeader('checkpoint', { number: 2, salt, position });
  expect(header.toString('hex')).toBe(plain(checkpoint.header));
  expect(chain.group([Buffer.from('ab')], 0).toString('hex')).toBe(plain(checkpoint.group));
  expect(chain.mark().toString('hex')).toBe(plain(checkpoint.mark));
  expect(readHeader('checkpoint', 2, header)).toEqual({ kind: 'header', header: { number: 2, salt, position } });
});

test.for([
  ['segment', segment],
  ['checkpoint', checkpoint],
] as const)('docs/log-format.md shows this %s', ([, pieces]) => {
  const document = readFileSync(new URL('../../../docs/log-format.md', import.meta.url), 'utf8').replaceAll(/\s/g, '');
  const lines = Object.entries(pieces).map(([piece, hex]) => `${piece}${plain(hex)}`);
  expect(document).toContain(lines.join(''));
});

test('readRecord and entriesOf read the documented example', () => {
  const bytes = Buffer.from(plain(segment.header + segment.group + segment.mark), 'hex');
  expect(readHeader('log', 1, bytes)).toMatchObject({ kind: 'header', header: { number: 1, salt } });
  const first = readRecord(bytes, 32, salt);
  if (first === undefined) throw new Error('the example begins with a record');
  expect(first).toMatchObject({ offset: 32, end: 88, sequence: 1, watermark: 0, entryCount: 2 });
  expect([...entriesOf(bytes, first)].map((entry) => Buffer.from(entry).toString())).toEqual(['a', 'b']);
  expect(readRecord(bytes, 88, salt)).toMatchObject({ end: 128, sequence: 1, watermark: 1, entryCount: 0 });
});

test('readRecord finds nothing beyond the end, under another salt, or where the length is out of bounds', () => {
  const bytes = Buffer.from(plain(segment.header + segment.group), 'hex');
  expect(readRecord(bytes, bytes.length, salt)).toBeUndefined();
  expect(readRecord(bytes, 32, new Uint8Array(8))).toBeUndefined();
  bytes.writeUInt32LE(0xffff_ffff, 36);
  expect(readRecord(bytes, 32, salt)).toBeUndefined();
});

function plain(hex: string): string {
  return hex.replaceAll(' ', '');
}
