import { describe, expect, test } from 'vitest';
import { incomingRequest, selectQuery } from './incoming.ts';

describe('selectQuery', () => {
  test.each<[string, string[] | 'all', [string, string][]]>([
    ['', 'all', []],
    [
      'a=1&b=2',
      'all',
      [
        ['a', '1'],
        ['b', '2'],
      ],
    ],
    [
      'a=1&b=2&a=3',
      ['a'],
      [
        ['a', '1'],
        ['a', '3'],
      ],
    ],
    ['a=1&b=2', [], []],
    ['%61=1', ['a'], [['%61', '1']]],
    ['a+b=1', ['a b'], [['a+b', '1']]],
    ['a', 'all', [['a', '']]],
    ['a=b=c', 'all', [['a', 'b=c']]],
    ['&&a=1&', 'all', [['a', '1']]],
    ['=1', [''], [['', '1']]],
  ])('selectQuery of %j by %j', (query, selected, pairs) => {
    expect(selectQuery(query, selected === 'all' ? 'all' : new Set(selected))).toEqual(pairs);
  });

  test('selectQuery keeps apart two values that are no UTF-8, which decoded would be the same', () => {
    expect(selectQuery('a=%FF', 'all')).not.toEqual(selectQuery('a=%FE', 'all'));
  });
});

describe('incomingRequest', () => {
  test('incomingRequest makes requests that each can be read', async () => {
    const incoming = incomingRequest(
      new Request('http://x/y?z=1', { method: 'PATCH', body: 'b', headers: { a: '1' } }),
    );
    expect([incoming.method, incoming.path, incoming.query, incoming.header('A'), incoming.header('b')]).toEqual([
      'PATCH',
      '/y',
      'z=1',
      '1',
      undefined,
    ]);
    const read = await incoming.readBody(10);
    const body = read.outcome === 'read' ? read.bytes : new Uint8Array();
    for (let attempt = 0; attempt < 2; attempt++) {
      const request = incoming.toRequest(body);
      expect([request.url, request.method, await request.text()]).toEqual(['http://x/y?z=1', 'PATCH', 'b']);
    }
  });

  test('incomingRequest reads no further than its bound, and believes a length that is told beforehand', async () => {
    const sent = { method: 'POST', body: 'four' };
    expect(await incomingRequest(new Request('http://x', sent)).readBody(4)).toMatchObject({ outcome: 'read' });
    expect(await incomingRequest(new Request('http://x', sent)).readBody(3)).toEqual({ outcome: 'too-large' });
    const told = new Request('http://x', { ...sent, headers: { 'content-length': '4' } });
    expect(await incomingRequest(told).readBody(3)).toEqual({ outcome: 'too-large' });
    expect(told.bodyUsed).toBe(false);
  });
});
