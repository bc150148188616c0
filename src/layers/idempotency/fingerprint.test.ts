import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { InvalidArgumentError } from 'semel';
import { fingerprint, sameFingerprint, type FingerprintParts } from 'semel/idempotency';

const json = 'application/json';

function of(parts: Partial<Omit<FingerprintParts, 'body'>> & { body?: string | Uint8Array }): string {
  const { body = '{"amount":1}', ...rest } = parts;
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  const whole = { method: 'POST', path: '/v1/charges', query: [], mediaType: json, ...rest, body: bytes };
  return Buffer.from(fingerprint(whole).digest).toString('hex');
}

test('fingerprint of algorithm 1 is what records hold that were written long ago', () => {
  const query = [
    ['a', '1'],
    ['é', 'x'],
  ] as const;
  expect(of({ query, headers: [['if-match', '"1"']], body: '{"amount":1,"n":"é😀"}' })).toBe(
    'cf720190aea74649968e7178760ad579b7fc889073cc8ff21fe74f9ed5a4753a',
  );
  expect(
    of({ method: 'PUT', path: '/x', mediaType: undefined, body: new Uint8Array([0, 255, 128]), headers: [['x', 'é']] }),
  ).toBe('388f5dc5dec32d5273bdaf2b26e5fb3f4d49b99d98cace36c07a4682bba0a96f');
});

describe('fingerprint is the same for', () => {
  test.each([
    ['methods in another case', { method: 'post' }],
    ['a media type in another case, with parameters', { mediaType: ' Application/JSON ; charset=utf-8' }],
    ['JSON with other white space', { body: ' { "amount" : 1 } \r\n' }],
    ['a number with other digits of the same value', { body: '{"amount":1.00}' }],
    ['a number with an exponent', { body: '{"amount":0.1e1}' }],
    ['a name written with escapes', { body: String.raw`{"\u0061mount":1}` }],
  ])('%s', (_, parts) => {
    expect(of(parts)).toBe(of({}));
  });

  test('members in another order, at every depth', () => {
    expect(of({ body: '{"a":{"x":1,"y":[{"q":2,"p":3}]},"b":2}' })).toBe(
      of({ body: '{"b":2,"a":{"y":[{"p":3,"q":2}],"x":1}}' }),
    );
  });

  test('query names in another order', () => {
    const one = [
      ['a', '1'],
      ['b', '2'],
      ['a', '3'],
    ] as const;
    const other = [
      ['b', '2'],
      ['a', '1'],
      ['a', '3'],
    ] as const;
    expect(of({ query: one })).toBe(of({ query: other }));
  });

  test('selected fields in another order, or none and no selection', () => {
    const one = [
      ['if-match', '"1"'],
      ['prefer', 'x'],
    ] as const;
    expect(of({ headers: one })).toBe(of({ headers: one.toReversed() }));
    expect(of({ headers: [] })).toBe(of({}));
  });

  test('a body of a +json type, canonically', () => {
    const mediaType = 'application/vnd.acme+json';
    expect(of({ mediaType, body: '{"b":1,"a":2}' })).toBe(of({ mediaType, body: '{"a":2,"b":1}' }));
  });
});

describe('fingerprint differs for', () => {
  test.each([
    ['another method', { method: 'PUT' }],
    ['another path', { path: '/v1/charges/' }],
    ['a path in another case', { path: '/v1/Charges' }],
    ['a path that is encoded differently, for it is taken as sent', { path: '/v1/%63harges' }],
    ['a selected query', { query: [['dry', '1']] as const }],
    ['a selected field', { headers: [['if-match', '']] as const }],
    ['another media type', { mediaType: 'text/plain' }],
    ['no media type', { mediaType: undefined }],
    ['another body', { body: '{"amount":2}' }],
    ['no body', { body: '' }],
    ['a string instead of a number', { body: '{"amount":"1"}' }],
    ['an array in another order', { body: '[1]' }],
  ])('%s', (_, parts) => {
    expect(of(parts)).not.toBe(of({}));
  });

  test('values of one query name in another order', () => {
    expect(
      of({
        query: [
          ['a', '1'],
          ['a', '2'],
        ],
      }),
    ).not.toBe(
      of({
        query: [
          ['a', '2'],
          ['a', '1'],
        ],
      }),
    );
  });

  test('another value of a selected field', () => {
    expect(of({ headers: [['if-match', '"1"']] })).not.toBe(of({ headers: [['if-match', '"2"']] }));
    expect(of({ headers: [['if-match', '"1"']] })).not.toBe(of({ headers: [['if-none-match', '"1"']] }));
    expect(of({ headers: [['if-match', '"1"']] })).not.toBe(of({ query: [['if-match', '"1"']] }));
  });

  test('pieces that only look the same when they are joined', () => {
    expect(
      of({
        query: [
          ['a', 'b'],
          ['c', 'd'],
        ],
      }),
    ).not.toBe(
      of({
        query: [
          ['a', 'bc'],
          ['', 'd'],
        ],
      }),
    );
    expect(of({ path: '/a', method: 'POST' })).not.toBe(of({ path: 'T/a', method: 'POS' }));
  });

  test('bytes that equal the canonical form of another body', () => {
    // Not I-JSON, for the name comes twice, so its bytes are hashed; they are no canonical form of anything.
    expect(of({ body: '{"a":1,"a":1}' })).not.toBe(of({ body: '{"a":1}' }));
    // The same bytes, once taken as JSON and once not.
    expect(of({ body: '{"a":1}', mediaType: 'text/json' })).not.toBe(of({ body: '{"a":1}' }));
  });
});

describe('fingerprint keeps apart, since they are not I-JSON,', () => {
  test.each([
    ['integers beyond 2^53 that a double cannot tell', '9007199254740993', '9007199254740992'],
    ['numbers beyond the largest double', '1e400', '1e401'],
    ['numbers below the smallest double', '1e-400', '0'],
    ['decimals with more digits than a double has', '0.1000000000000000000001', '0.1'],
    ['duplicate names', '{"a":1,"a":2}', '{"a":2}'],
    ['names that are duplicates after decoding', String.raw`{"a":1,"\u0061":2}`, '{"a":2}'],
    ['duplicate names deep inside', '[{"x":{"a":1,"b":0,"a":2}}]', '[{"x":{"b":0,"a":2}}]'],
    ['lone surrogates', String.raw`"\ud800"`, String.raw`"\udbff"`],
    ['a lone surrogate in a name', String.raw`{"\ud800":1}`, String.raw`{"\udbff":1}`],
    ['noncharacters, which would be equal in another spelling', String.raw`"\uffff"`, '"\uffff"'],
    ['a byte order mark', '\ufeff{}', '{}'],
    ['text that is no JSON', '{a:1}', '{a: 1}'],
  ])('%s', (_, one, other) => {
    expect(of({ body: one })).not.toBe(of({ body: other }));
    expect(of({ body: one })).toBe(of({ body: one }));
  });

  test('bytes that are no UTF-8', () => {
    expect(of({ body: Uint8Array.of(0x22, 0xff, 0x22) })).not.toBe(of({ body: Uint8Array.of(0x22, 0xfe, 0x22) }));
  });
});

describe('fingerprint counts as one value', () => {
  test.each([
    ['1.10', '1.1'],
    ['-0', '0'],
    ['0e99999', '0.000'],
    ['100', '1E+2'],
    ['123e-2', '1.23'],
    ['1e21', '1000000000000000000000'],
    ['9007199254740992', '9007199254740992.0'],
    [String.raw`"\/\u00e9"`, '"/é"'],
    ['{"b":{},"a":[]}', '{ "a" : [ ] , "b" : { } }'],
    // The same name in neighbouring objects, and as a value, is no duplicate.
    ['[{"a":"a"},{"a":["a","a"]}]', '[ {"a":"a"},{"a":["a","a"]}]'],
  ])('%s and %s', (one, other) => {
    expect(of({ body: one })).toBe(of({ body: other }));
  });

  test('a member called __proto__ with itself alone', () => {
    expect(of({ body: '{"__proto__":1}' })).not.toBe(of({ body: '{}' }));
    expect(of({ body: '{"__proto__":1,"__proto__":1}' })).not.toBe(of({ body: '{"__proto__":1}' }));
  });
});

test('fingerprint takes any depth, canonically up to 1,000 levels', () => {
  const nested = (depth: number, blank: string): string => `${'['.repeat(depth)}${blank}${']'.repeat(depth)}`;
  expect(of({ body: nested(1_000, '') })).toBe(of({ body: nested(1_000, ' ') }));
  expect(of({ body: nested(1_001, '') })).not.toBe(of({ body: nested(1_001, ' ') }));
  expect(of({ body: nested(65_000, '') })).not.toBe(of({ body: nested(65_000, ' ') }));
});

test('fingerprint takes a long string, a long run of escapes and a long number', () => {
  const length = 120_000;
  for (const token of [
    `"${'x'.repeat(length)}"`,
    `"${String.raw`\\\"`.repeat(length / 4)}"`,
    `1.${'0'.repeat(length)}`,
    '0'.padEnd(length, '.0'),
  ]) {
    expect(of({ body: `[${token}]` })).toMatch(/^[0-9a-f]{64}$/);
  }
  expect(of({ body: `[1.${'0'.repeat(length)}]` })).toBe(of({ body: '[1]' }));
});

test('fingerprint looks for another spelling in bodies of up to 128 KiB; larger ones count by their bytes', () => {
  const text = `"${'x'.repeat(131_069)}"`;
  expect(of({ body: ` ${text}` })).toBe(of({ body: text }));
  expect(of({ body: `  ${text}` })).not.toBe(of({ body: text }));
  expect(of({ body: `  ${text}` })).toBe(of({ body: `  ${text}` }));
});

test('fingerprint ignores white space and member order of any I-JSON, and nothing else', () => {
  const anything = fc.jsonValue({ depthSize: 'medium' });
  fc.assert(
    fc.property(anything, anything, (one, other) => {
      const compact = of({ body: JSON.stringify(one) });
      expect(of({ body: JSON.stringify(reversed(one), undefined, 2) })).toBe(compact);
      const equal = JSON.stringify(sorted(one)) === JSON.stringify(sorted(other));
      expect(of({ body: JSON.stringify(other) }) === compact).toBe(equal);
    }),
  );
});

test('fingerprint refuses text without bytes of its own', () => {
  expect(() => of({ query: [['a', '\ud800']] })).toThrow(InvalidArgumentError);
});

test('sameFingerprint never equates digests of two algorithms', () => {
  const digest = new Uint8Array(32);
  expect(sameFingerprint({ algorithm: 1, digest }, { algorithm: 1, digest: new Uint8Array(32) })).toBe(true);
  expect(sameFingerprint({ algorithm: 1, digest }, { algorithm: 2, digest })).toBe(false);
  expect(sameFingerprint({ algorithm: 1, digest }, { algorithm: 1, digest: new Uint8Array(31) })).toBe(false);
});

function reversed(value: unknown): unknown {
  return withMembers(value, (entries) => entries.toReversed());
}

function sorted(value: unknown): unknown {
  return withMembers(value, (entries) => entries.toSorted(([one], [other]) => (one < other ? -1 : 1)));
}

function withMembers(value: unknown, arrange: (entries: [string, unknown][]) => [string, unknown][]): unknown {
  if (Array.isArray(value)) return value.map((item) => withMembers(item, arrange));
  // JSON writes -0 as 0.
  if (typeof value !== 'object' || value === null) return value === 0 ? 0 : value;
  const entries = Object.entries(value).map(([name, item]): [string, unknown] => [name, withMembers(item, arrange)]);
  return Object.fromEntries(arrange(entries));
}
