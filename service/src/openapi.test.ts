import { Ajv2020 } from 'ajv/dist/2020.js';
import { realWorld } from 'semel';
import { expect, test } from 'vitest';
import { makeApiKey } from './api-keys.ts';
import { openapiHeaders } from './openapi-headers.ts';
import { openapi } from './openapi.ts';
import { serviceUnderTest, type Answered, type SendOptions } from './service-under-test.ts';

const document = 'https://semel.dev/openapi.json';
const ajv = new Ajv2020({ strict: false, validateFormats: false });
ajv.addSchema(JSON.parse(JSON.stringify(openapi())), document);

/** Whether the description has the answer's status and media type for the route, and its body fits the schema there. */
function expectDescribed(template: string, method: string, { status, headers, text, json }: Answered): void {
  const item = openapi().paths[template as keyof ReturnType<typeof openapi>['paths']];
  const { responses } = Object(Reflect.get(item, method));
  const statusKey = Object.hasOwn(responses, status) ? String(status) : 'default';
  const { content, headers: described = {} } = responses[statusKey];
  for (const name of Object.keys(openapiHeaders)) {
    const present = headers.has(name);
    expect(present && !Object.hasOwn(described, name), `${method} ${template} ${status} ${name}`).toBe(false);
  }
  if (content === undefined) return expect(text).toBe('');
  const mediaType = headers.get('content-type')?.split(';', 1)[0] ?? '';
  expect(Object.keys(content), `${method} ${template} ${status}`).toContain(mediaType);
  const pointer = ['paths', template, method, 'responses', statusKey, 'content', mediaType, 'schema'];
  const escaped = pointer.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1')));
  const validate = ajv.compile({ $ref: `${document}#/${escaped.join('/')}` });
  if (json !== undefined) validate(json);
  expect(validate.errors ?? [], text).toEqual([]);
}

test('openapi describes the answers that the service gives', async () => {
  const { send } = await serviceUnderTest();
  const key = { headers: { 'idempotency-key': 'one' } };
  const transaction = { mutations: [{ add: { key: 'n', by: 1, max: 1 } }], checks: [], reads: ['n', 'none'] };
  const failing = { headers: { 'idempotency-key': 'two' }, body: transaction };
  const never = { 'if-match': '"never"' };
  const steps: readonly (readonly [template: string, method: string, path: string, options?: SendOptions])[] = [
    ['/v1/kv/{key}', 'put', '/v1/kv/a', { body: '{"x":[1,null]}' }],
    ['/v1/kv/{key}', 'put', '/v1/kv/a', { body: '2' }],
    ['/v1/kv/{key}', 'put', '/v1/kv/a', { body: '{' }],
    ['/v1/kv/{key}', 'put', '/v1/kv/a', { body: '1', headers: never }],
    ['/v1/kv/{key}', 'put', '/v1/kv/a', { body: '1', headers: { 'content-type': 'text/plain' } }],
    ['/v1/kv/{key}', 'put', '/v1/kv/b', { body: JSON.stringify('x'.repeat(1_048_577)) }],
    ['/v1/kv/{key}', 'put', '/v1/kv/b', { body: '3' }],
    ['/v1/kv/{key}', 'get', '/v1/kv/a'],
    ['/v1/kv/{key}', 'get', '/v1/kv/a', { headers: { 'if-none-match': '*' } }],
    ['/v1/kv/{key}', 'get', '/v1/kv/none'],
    ['/v1/kv/{key}', 'get', '/v1/kv/'],
    ['/v1/kv', 'get', '/v1/kv?limit=1'],
    ['/v1/kv', 'get', '/v1/kv?limit=0'],
    ['/v1/kv', 'get', '/v1/kv?cursor=gone'],
    ['/v1/transactions', 'post', '/v1/transactions', { ...key, body: transaction }],
    ['/v1/transactions', 'post', '/v1/transactions', { ...key, body: transaction }],
    ['/v1/transactions', 'post', '/v1/transactions', failing],
    ['/v1/transactions', 'post', '/v1/transactions', { ...failing, body: { reads: ['a'] } }],
    ['/v1/transactions', 'post', '/v1/transactions', { body: transaction }],
    ['/v1/transactions', 'post', '/v1/transactions', { ...key, body: {} }],
    ['/v1/operations/{idempotencyKey}', 'get', '/v1/operations/one'],
    ['/v1/operations/{idempotencyKey}', 'get', '/v1/operations/two'],
    ['/v1/operations/{idempotencyKey}', 'get', '/v1/operations/never'],
    ['/v1/operations/{idempotencyKey}', 'get', '/v1/operations/%00'],
    ['/v1/operations/{idempotencyKey}/cancel', 'post', '/v1/operations/one/cancel'],
    ['/v1/operations/{idempotencyKey}/cancel', 'post', '/v1/operations/three/cancel'],
    ['/v1/kv/{key}', 'delete', '/v1/kv/a', { headers: never }],
    ['/v1/kv/{key}', 'delete', '/v1/kv/a', { headers: { 'idempotency-key': 'four' } }],
    ['/v1/operations/{idempotencyKey}', 'get', '/v1/operations/four'],
    ['/healthz', 'get', '/healthz'],
    ['/readyz', 'get', '/readyz'],
    ['/metrics', 'get', '/metrics'],
    ['/openapi.json', 'get', '/openapi.json'],
  ];
  const met = new Set<number>();
  for (const [template, method, path, options] of steps) {
    const answered = await send(method.toUpperCase(), path, options);
    met.add(answered.status);
    expectDescribed(template, method, answered);
  }
  expectDescribed('/v1/kv/{key}', 'get', await send('PATCH', '/v1/kv/a'));
  expect([...met].sort((one, other) => one - other)).toEqual([200, 201, 204, 304, 400, 404, 409, 410, 412, 413, 415]);
});

test('openapi describes every field of an answer that says something, and who may not ask', async () => {
  const { send, disk, put } = await serviceUnderTest();
  await put('a', 1);
  const headers = { 'idempotency-key': 'one' };
  const fields = new Set<string>();
  const meet = (template: string, method: string, answered: Answered): void => {
    expectDescribed(template, method, answered);
    for (const name of Object.keys(openapiHeaders)) if (answered.headers.has(name)) fields.add(name);
  };
  meet('/v1/kv/{key}', 'get', await send('GET', '/v1/kv/a'));
  meet('/v1/kv/{key}', 'get', await send('PATCH', '/v1/kv/a'));
  for (const _ of ['executed', 'replayed']) {
    meet('/v1/kv/{key}', 'put', await send('PUT', '/v1/kv/b', { headers, body: '1' }));
  }
  meet('/v1/kv/{key}', 'get', await send('GET', '/v1/kv/a', { headers: { origin: 'https://evil.example' } }));
  disk.failSync(disk.syncs + 1);
  for (const [key, status] of [
    ['two', 503],
    ['three', 503],
    ['one', 409],
  ] as const) {
    const refusal = await send('PUT', '/v1/kv/a', { headers: { 'idempotency-key': key }, body: '2' });
    expect(refusal.status).toBe(status);
    meet('/v1/kv/{key}', 'put', refusal);
  }
  const locked = await serviceUnderTest({ apiKeys: [makeApiKey('acme', realWorld).entry] });
  const openPaths = new Set(['/healthz', '/readyz', '/openapi.json']);
  for (const [template, item] of Object.entries(openapi().paths)) {
    for (const method of ['get', 'put', 'post', 'delete']) {
      if (!Object.hasOwn(item, method)) continue;
      const { responses } = Object(Reflect.get(item, method));
      expect([template, method, Object.hasOwn(responses, '401')]).toEqual([template, method, !openPaths.has(template)]);
      const answered = await locked.send(method.toUpperCase(), template.replaceAll(/\{.*?\}/g, 'x'));
      if (!openPaths.has(template)) expect(answered.status).toBe(401);
      meet(template, method, answered);
    }
  }
  expect([...fields].toSorted()).toEqual(Object.keys(openapiHeaders).toSorted());
});

test('openapi has an example of a transaction that fits its schema', () => {
  const { schema, example } = openapi().paths['/v1/transactions'].post.requestBody.content['application/json'];
  const validate = ajv.compile({ $ref: document + schema.$ref });
  expect(validate(example)).toBe(true);
  expect(validate({ ...example, check: [] })).toBe(false);
});
