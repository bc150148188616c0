import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { encodeKey } from '../../kv/tuple.ts';
import { decodeEntry, encodeEntry, type LogEntry, PortionWriter } from './commit-codec.ts';

const [a, b] = [encodeKey(['a']), encodeKey(['b'])];
const seven = { value: 7, hasBytes: false };
const id = '0123456789abcdef0123456789abcdef';

/** Put together by hand from docs/log-format.md. If this has to change, so has the format version. */
const examples: readonly (readonly [string, LogEntry])[] = [
  [
    '01 05 e807 02  03 026100 01 030e  03 026200 00',
    {
      kind: 'commit',
      version: 5,
      now: 1_000,
      writes: [
        { key: a, stored: seven },
        { key: b, stored: undefined },
      ],
    },
  ],
  ['02 808040 e807', { kind: 'mark', versionCeiling: 1_048_576, now: 1_000 }],
  ['03  05 03 026100 030e', { kind: 'portion', entries: [{ key: a, version: 5, stored: seven }] }],
  [
    `04 20 ${Buffer.from(id).toString('hex')} e807 00`,
    { kind: 'incarnation', id, sinceMs: 1_000, restoredFrom: undefined },
  ],
];

test('encodeEntry and PortionWriter write the documented bytes, and decodeEntry reads them', () => {
  for (const [documented, entry] of examples) {
    const hex = documented.replaceAll(' ', '');
    expect(Buffer.from(encode(entry)).toString('hex')).toBe(hex);
    expect(decodeEntry(Buffer.from(hex, 'hex'))).toEqual(entry);
  }
});

test('docs/log-format.md shows these entries', () => {
  const document = readFileSync(new URL('../../../docs/log-format.md', import.meta.url), 'utf8').replaceAll(/ +/g, ' ');
  for (const [documented, { kind }] of examples)
    expect(document).toContain(`${kind} ${documented.replaceAll(/ +/g, ' ')}`);
});

function encode(entry: LogEntry): Uint8Array {
  if (entry.kind !== 'portion') return encodeEntry(entry);
  const portion = new PortionWriter();
  for (const { key, version, stored } of entry.entries) portion.add(key, version, stored.value);
  return portion.finish();
}
