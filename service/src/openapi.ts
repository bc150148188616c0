import { problemBase, problems } from 'semel/http';
import { headerRefs, onceHeaders, openapiHeaders, type HeaderName } from './openapi-headers.ts';
import {
  authRefusals,
  databaseRefusals,
  dataRefusals,
  onceRefusals,
  refusals,
  storeRefusals,
} from './openapi-refusals.ts';
import { openapiSchemas } from './openapi-schemas.ts';
import { serviceProblems } from './problem.ts';
import { serviceLimits } from './service-limits.ts';

/** The OpenAPI 3.1 description. A test holds it against the routes that there are and the answers that they give. */
export function openapi() {
  return {
    openapi: '3.1.1' as const,
    info: {
      title: 'Semel',
      version: '1',
      summary: 'An in-memory database, durable on disk, whose operations take effect once.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      description: description(),
    },
    servers: [{ url: '/', description: 'this service' }],
    security: [{}, { apiKey: [] }],
    tags: [
      { name: 'kv', description: 'Keys and values.' },
      { name: 'transactions', description: 'Several keys at once, all or nothing.' },
      { name: 'operations', description: 'What became of a request that was sent with an Idempotency-Key.' },
      { name: 'service', description: 'The service itself.' },
    ],
    paths: {
      '/v1/kv/{key}': { parameters: [pathKey()], get: getKey(), put: putKey(), delete: deleteKey() },
      '/v1/kv': { get: listKeys() },
      '/v1/transactions': { post: transact() },
      '/v1/operations/{idempotencyKey}': { parameters: [pathIdempotencyKey()], get: lookUp() },
      '/v1/operations/{idempotencyKey}/cancel': { parameters: [pathIdempotencyKey()], post: cancel() },
      '/healthz': { get: plain('The process answers', 'application/json') },
      '/readyz': {
        get: {
          ...plain('The service serves', 'application/json'),
          responses: { ...ok('application/json'), ...refusals('poisoned', 'stopping', ...databaseRefusals) },
        },
      },
      '/metrics': {
        get: {
          ...plain('Metrics, as Prometheus reads them', 'text/plain'),
          security: [{}, { apiKey: [] }],
          responses: { ...ok('text/plain'), ...refusals(...authRefusals) },
        },
      },
      '/openapi.json': { get: plain('This description', 'application/json') },
    },
    components: {
      securitySchemes: {
        apiKey: {
          type: 'http' as const,
          scheme: 'bearer',
          description: 'Needed where the service has API keys configured.',
        },
      },
      schemas: openapiSchemas,
      headers: openapiHeaders,
    },
  };
}

function description(): string {
  const listed = { ...problems, ...serviceProblems };
  const rows = Object.entries(listed).map(([name, { status, title }]) => `| \`${name}\` | ${status} | ${title} |`);
  return [
    'Send a request twice and it takes effect once: give it an `Idempotency-Key`, and the same one with every retry. The',
    'record of it, its changes and its answer are committed together, on disk, before the answer leaves. A retry gets the',
    'same answer, byte for byte, with `Idempotent-Replayed: true`; `Idempotency-Outcome` says what became of each request.',
    '',
    '**Keys** are any text of 1 to ' +
      `${serviceLimits.keyBytesMax} bytes of UTF-8, percent-encoded in a path: slashes, dots,`,
    'control characters and emoji stay what they are. Browsers and other clients that resolve URLs as WHATWG has it drop',
    'the path segments `.` and `..`, encoded or not, before they send them; such a client reaches the keys `.` and `..`',
    'through `/v1/transactions` (curl: `--path-as-is`).',
    '',
    '**Values** are JSON. What JSON readers would alter in silence is refused instead: integers beyond ±(2^53 - 1) and',
    'objects with two members of one name. Fractions and numbers with an exponent are IEEE 754 doubles.',
    '',
    '**Versions** are opaque. Two versions of one key are never equal, not after a deletion or a restart.',
    '',
    'Errors are problem details (RFC 9457). Branch on the `type`, which is `' + problemBase + '` and one of these:',
    '',
    '| type | status | meaning |',
    '| --- | --- | --- |',
    ...rows,
  ].join('\n');
}

function pathKey() {
  return {
    name: 'key',
    in: 'path' as const,
    required: true,
    description: 'Percent-encoded UTF-8. A slash may also stand as it is.',
    schema: { $ref: '#/components/schemas/Key' },
  };
}

function pathIdempotencyKey() {
  return {
    name: 'idempotencyKey',
    in: 'path' as const,
    required: true,
    description: 'As it was sent, without quotes, percent-encoded.',
    schema: { type: 'string' as const, minLength: 1, maxLength: 255, pattern: '^[!-~]+$' },
  };
}

function idempotencyKey(required: boolean) {
  return {
    name: 'Idempotency-Key',
    in: 'header' as const,
    required,
    description: '1 to 255 visible ASCII characters, bare or in quotes; a UUID does well. The same with each retry.',
    schema: { type: 'string' as const },
  };
}

function condition(name: 'If-Match' | 'If-None-Match') {
  return {
    name,
    in: 'header' as const,
    required: false,
    description: 'Entity tags of this key, which are its versions in quotes, or `*`.',
    schema: { type: 'string' as const },
  };
}

function getKey() {
  return {
    tags: ['kv'],
    operationId: 'getKey',
    summary: 'The value of a key',
    parameters: [condition('If-Match'), condition('If-None-Match')],
    responses: {
      '200': content('The entry', 'Entry', ['ETag']),
      '304': { description: 'It still has a version that If-None-Match names', headers: headerRefs(['ETag']) },
      ...dataRefusals(
        'kv-key-invalid',
        'query-invalid',
        'precondition-invalid',
        'kv-key-absent',
        'precondition-failed',
      ),
    },
  };
}

function putKey() {
  return {
    tags: ['kv'],
    operationId: 'putKey',
    summary: 'Set a key',
    description:
      'The body is the bare JSON value. The answer has the new version and not the value. An Idempotency-Key is welcome and ' +
      'not needed: to set a key twice to one value is to set it once, but with a precondition a retry would meet its own success.',
    parameters: [condition('If-Match'), condition('If-None-Match'), idempotencyKey(false)],
    requestBody: { required: true, content: { 'application/json': { schema: {} } } },
    responses: {
      '200': content('The key was there and has a new value', 'Written', ['ETag', ...onceHeaders]),
      '201': content('The key was absent and has a value now', 'Written', ['ETag', ...onceHeaders]),
      ...onceRefusals(
        'kv-key-invalid',
        'query-invalid',
        'precondition-invalid',
        'precondition-failed',
        'json-invalid',
        'limit-exceeded',
        'media-type-unsupported',
      ),
    },
  };
}

function deleteKey() {
  return {
    tags: ['kv'],
    operationId: 'deleteKey',
    summary: 'Delete a key',
    description: 'An absent key is as good as a deleted one: 204 as well, so that a retry is no error.',
    parameters: [condition('If-Match'), condition('If-None-Match'), idempotencyKey(false)],
    responses: {
      '204': { description: 'The key is absent now', headers: headerRefs(onceHeaders) },
      ...onceRefusals('kv-key-invalid', 'query-invalid', 'precondition-invalid', 'precondition-failed'),
    },
  };
}

function listKeys() {
  const { pageEntriesMax, pageEntriesDefault, pagingIdleMsMax } = serviceLimits;
  const text = { type: 'string' as const };
  const parameter = (name: string, description: string, schema: object = text) => ({
    name,
    in: 'query' as const,
    required: false,
    description,
    schema,
  });
  return {
    tags: ['kv'],
    operationId: 'listKeys',
    summary: 'The entries of a range of keys',
    description:
      'In code-point order of the keys. Where there is more, the answer has a cursor: the next page is the same query plus ' +
      `the cursor. All pages show one snapshot. The service holds it for ${pagingIdleMsMax / 1_000} s after each page, ` +
      'and shorter if many others page; then the cursor is gone (410), and one begins again. A cursor may be sent again, ' +
      'and yields the same page again. A page may have fewer entries than `limit` and still not be the last.',
    parameters: [
      parameter('prefix', 'Only keys that begin with these characters.'),
      parameter('start', 'The first key, inclusive.'),
      parameter('end', 'Where the range ends, exclusive.'),
      parameter('limit', 'Entries of a page.', {
        type: 'integer',
        minimum: 1,
        maximum: pageEntriesMax,
        default: pageEntriesDefault,
      }),
      parameter('reverse', 'From the end of the range to its start.', { type: 'boolean', default: false }),
      parameter('cursor', 'From the page before.'),
    ],
    responses: { '200': content('A page', 'Page'), ...dataRefusals('query-invalid', 'cursor-gone') },
  };
}

function transact() {
  return {
    tags: ['transactions'],
    operationId: 'transact',
    summary: 'Check, change and read several keys, all or nothing',
    description:
      'First the checks, then the mutations in their order, then the reads, which show what the transaction leaves: what it ' +
      'wrote itself has the `version` of the answer. A failed check or a refused addition is a 409 that names the entry ' +
      '(`index`, `key`, and `pointer` into the request); then nothing is changed, and a retry gets the same 409. A sum that is ' +
      'not read conflicts with no other addition, so many clients can count on one key at once.',
    parameters: [idempotencyKey(true)],
    requestBody: {
      required: true,
      content: {
        'application/json': {
          schema: { $ref: '#/components/schemas/Transaction' },
          example: {
            checks: [{ key: 'account/7', version: null }],
            mutations: [
              { set: { key: 'account/7', value: { owner: 'Ada' } } },
              { add: { key: 'accounts', by: 1, max: 1_000 } },
            ],
            reads: ['accounts'],
          },
        },
      },
    },
    responses: {
      '200': content('It took effect', 'Transacted', onceHeaders),
      ...onceRefusals(
        'query-invalid',
        'json-invalid',
        'transaction-invalid',
        'check-failed',
        'add-refused',
        'limit-exceeded',
        'media-type-unsupported',
      ),
    },
  };
}

function lookUp() {
  return {
    tags: ['operations'],
    operationId: 'lookUpOperation',
    summary: 'What became of an operation of one’s own',
    description: '404 means *not seen yet*, never *did not happen*.',
    responses: {
      '200': content('What is known', 'Operation'),
      ...dataRefusals('operation-key-invalid', 'query-invalid', 'operation-not-seen'),
    },
  };
}

function cancel() {
  return {
    tags: ['operations'],
    operationId: 'cancelOperation',
    summary: 'Settle an operation: its outcome, or the certainty that it never happens',
    description:
      'Where the operation is complete, nothing changes and its outcome is told. Where it is not known, its key is burnt: a ' +
      'request that arrives later with it is refused. `in-progress` means that it could not be settled yet; ask again.',
    responses: {
      '200': content('What holds now', 'Operation'),
      ...dataRefusals('operation-key-invalid', 'query-invalid', ...storeRefusals),
    },
  };
}

function plain(summary: string, mediaType: string) {
  return { tags: ['service'], summary, security: [{}], responses: ok(mediaType) };
}

function ok(mediaType: string) {
  return { '200': { description: 'It does', content: { [mediaType]: { schema: {} } } } };
}

function content(description: string, schema: keyof typeof openapiSchemas, headers: readonly HeaderName[] = []) {
  return {
    description,
    ...(headers.length === 0 ? {} : { headers: headerRefs(headers) }),
    content: { 'application/json': { schema: { $ref: `#/components/schemas/${schema}` } } },
  };
}
