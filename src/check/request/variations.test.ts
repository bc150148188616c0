import { describe, expect, test } from 'vitest';
import { describeTarget, type RequestDescription } from './target.ts';

const address = 'http://localhost/orders?fast=1';
const body = { cups: 2 };

describe('describeTarget', () => {
  test('makes each variation a whole request, like the given one but for what differs', () => {
    const request: RequestDescription = {
      method: 'POST',
      headers: { Authorization: 'ann', 'X-Shop': 'tea' },
      body,
      otherQuery: 'fast=0',
      otherPath: '/orders/of-bob',
      otherMethod: 'PUT',
      otherEndpoint: { url: 'refunds', method: 'PATCH', headers: { 'x-shop': 'coffee' }, body: 'two' },
      failing: [{ body: { cups: 0 } }, { headers: { 'X-Fault': 'yes' } }],
      failOnce: { headers: { 'X-Fault': 'yes' } },
    };
    const { variations } = describeTarget(address, request, { otherTenant: { authorization: 'bob' } });
    const { query, path, method, endpoint, tenant, failing, failOnce } = variations;
    expect([query.url.href, path?.url.href, method?.url.href, endpoint?.url.href]).toEqual([
      'http://localhost/orders?fast=0',
      'http://localhost/orders/of-bob?fast=1',
      address,
      'http://localhost/refunds',
    ]);
    expect([query.method, path?.method, method?.method, endpoint?.method]).toEqual(['POST', 'POST', 'PUT', 'PATCH']);
    const json = ['Content-Type', 'application/json'];
    expect(endpoint?.headers).toEqual([['Authorization', 'ann'], ['x-shop', 'coffee'], json]);
    expect(tenant?.headers).toEqual([['authorization', 'bob'], ['X-Shop', 'tea'], json]);
    expect(failing.map(({ body: bytes }) => bytes?.toString())).toEqual(['{"cups":0}', undefined]);
    expect(failOnce?.headers.at(-1)).toEqual(['X-Fault', 'yes']);
  });

  test('makes another query of a parameter that nobody knows where none is given, and nothing else', () => {
    const { variations } = describeTarget(address, { body });
    expect(variations).toEqual({
      ...describeTarget(address, {}).variations,
      query: expect.objectContaining({ url: new URL('http://localhost/orders?fast=1&semel-check=1') }),
      isQueryGiven: false,
      path: undefined,
      method: undefined,
      endpoint: undefined,
      tenant: undefined,
      failing: [],
      failOnce: undefined,
    });
  });

  test.for([
    [{ otherPath: 'orders' }, 'orders is not a path'],
    [{ otherPath: '/orders?a=b' }, 'is not a path'],
    [{ otherPath: '//shop.invalid/orders' }, 'no address at http://localhost'],
    [{ otherEndpoint: { url: 'https://localhost/' } }, 'no address at http://localhost'],
    [{ otherEndpoint: { url: 'http://ann:sesame@localhost/' } }, 'no address at http://localhost'],
    [{ otherMethod: 'PUT IT' }, 'is not a method'],
    [{ failing: [{ headers: { 'idempotency-key': 'k' } }] }, 'makes the keys itself'],
    [{ failOnce: { headers: { 'X-Fault': 'a\nb' } } }, 'X-Fault cannot be sent'],
  ] as const)('refuses %j', ([request, reason]) => {
    expect(() => describeTarget(address, request)).toThrow(reason);
  });

  test.for([
    [{ otherQuery: 'fast=1' }],
    [{ otherPath: '/orders' }],
    [{ otherMethod: 'POST' }],
    [{ otherEndpoint: { headers: { authorization: 'ann' } } }],
  ] as const)('refuses %j, which is the given request itself', ([others]) => {
    const request = { headers: { Authorization: 'ann' }, body, ...others };
    expect(() => describeTarget(address, request)).toThrow('is the given request itself');
  });

  test('refuses another tenant that is the same', () => {
    const request = { headers: { Authorization: 'ann', 'X-Shop': 'tea' } };
    const otherTenant = { authorization: 'ann' };
    expect(() => describeTarget(address, request, { otherTenant })).toThrow('other-tenant is the given request itself');
  });

  test('refuses a header of the other tenant that it writes itself', () => {
    expect(() => describeTarget(address, {}, { otherTenant: { Host: 'shop.invalid' } })).toThrow('writes Host itself');
  });
});

test('describeTarget lets a header of the options stand in the place of that of the request, whatever their case', () => {
  const { headers } = describeTarget(
    address,
    { headers: { authorization: 'ann' } },
    { headers: { Authorization: 'bob' } },
  );
  expect(headers).toEqual([['Authorization', 'bob']]);
});
