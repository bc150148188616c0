import { expect, test } from 'vitest';
import { alteredBody, describeTarget } from './target.ts';

test.for([
  [
    { item: 'tea', cups: 2, to: { go: true } },
    { item: 'tea', cups: 3, to: { go: true } },
  ],
  [
    { item: 'tea', note: 'hot' },
    { item: 'tea', note: 'hot-other' },
  ],
  [[{ go: true }], [{ go: false }]],
  ['{"cups":2}', '{"cups":3}'],
  ['not JSON', undefined],
  [{}, undefined],
  [undefined, undefined],
  [new Uint8Array([1]), undefined],
] as const)('alteredBody changes one leaf of %j', ([body, other]) => {
  expect(alteredBody(body)).toEqual(other);
});

test('describeTarget sends JSON as JSON, and a string as it is', () => {
  const json = describeTarget('http://localhost/orders', { body: { cups: 2 } });
  expect([json.method, json.headers, json.body.toString()]).toEqual([
    'POST',
    [['Content-Type', 'application/json']],
    '{"cups":2}',
  ]);
  const text = describeTarget('http://localhost/orders', { method: 'PATCH', body: 'two', otherBody: 'three' });
  expect([text.method, text.headers, text.body.toString(), String(text.otherBody)]).toEqual([
    'PATCH',
    [],
    'two',
    'three',
  ]);
});

test.for([
  ['ftp://localhost/', {}, 'begins with http'],
  ['orders', {}, 'begins with http'],
  ['ann:sesame@localhost/orders', {}, 'what is given is not an address'],
  ['http://ann:secret@localhost/', {}, 'send them in a header'],
  ['http://localhost/', { 'idempotency-key': 'k' }, 'makes the keys itself'],
  ['http://localhost/', { 'Content-Length': '1' }, 'writes Content-Length itself'],
  ['http://localhost/', { 'X-Account': 'a\nb' }, 'X-Account cannot be sent'],
  ['http://localhost/', { 'X Account': 'a' }, 'not the name of a field'],
] as const)('describeTarget refuses %s with %j', ([address, headers, reason]) => {
  expect(() => describeTarget(address, { headers })).toThrow(reason);
});

test('describeTarget sends a header of the options in the place of the same one of the request, in any case', () => {
  const request = { headers: { authorization: 'ann', Accept: 'text/plain' } };
  const { headers } = describeTarget('http://localhost/', request, { headers: { Authorization: 'bob' } });
  expect(headers).toEqual([
    ['Authorization', 'bob'],
    ['Accept', 'text/plain'],
  ]);
});
