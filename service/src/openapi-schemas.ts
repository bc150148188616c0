import { serviceLimits } from './service-limits.ts';

const { keyBytesMax, transactionEntriesMax } = serviceLimits;

const text = { type: 'string' } as const;
const integer = { type: 'integer', minimum: Number.MIN_SAFE_INTEGER, maximum: Number.MAX_SAFE_INTEGER } as const;
const timestamp = { type: ['string', 'null'], format: 'date-time' } as const;
const key = ref('Key');
const version = ref('Version');

/** The bodies of requests and answers, as JSON Schema. */
export const openapiSchemas = {
  Key: { ...text, minLength: 1, description: `At most ${keyBytesMax} bytes of UTF-8.` },
  Version: { ...text, description: 'Opaque.' },
  Entry: closed({ key, value: {}, version }),
  Written: closed({ key, version }),
  Page: closed({ entries: { type: 'array', items: ref('Entry') } }, { cursor: text }),
  Transaction: closed(
    {},
    {
      checks: list(
        closed({ key, version: { ...text, type: ['string', 'null'], description: 'null: the key is absent.' } }),
      ),
      mutations: list({
        oneOf: [
          closed({ set: closed({ key, value: {} }) }),
          closed({ delete: closed({ key }) }),
          closed({ add: closed({ key, by: integer }, { min: integer, max: integer }) }),
        ],
      }),
      reads: list(key),
    },
  ),
  Transacted: closed({
    version: { ...version, description: 'Of whatever the transaction wrote.' },
    reads: list(
      closed({
        key,
        value: { description: 'null also where the key is absent; then its version is null.' },
        version: { ...text, type: ['string', 'null'] },
      }),
    ),
  }),
  Operation: closed({
    key: text,
    state: { enum: ['in-progress', 'complete', 'expired', 'cancelled'] },
    createdAt: timestamp,
    completedAt: { ...timestamp, description: 'When the outcome was committed, or the operation cancelled.' },
    expiresAt: { ...timestamp, description: 'Until when the answer is kept for replay.' },
    forgottenAt: {
      ...timestamp,
      description: 'Of a cancelled operation: until when its key is refused. null in any other state.',
    },
    outcome: {
      description: 'The answer that a retry gets; null where there is none, or it is no longer kept.',
      anyOf: [
        { type: 'null' },
        closed({
          status: { type: 'integer' },
          mediaType: { type: ['string', 'null'] },
          etag: { type: ['string', 'null'] },
          body: { description: 'null where there is none.' },
        }),
      ],
    },
  }),
  Problem: {
    type: 'object',
    required: ['type', 'title', 'status', 'detail'],
    properties: { type: { ...text, format: 'uri' }, title: text, status: { type: 'integer' }, detail: text },
  },
} as const;

/** An object with these members and no others. */
function closed(required: object, optional: object = {}) {
  return {
    type: 'object',
    required: Object.keys(required),
    properties: { ...required, ...optional },
    additionalProperties: false,
  } as const;
}

function list(items: object) {
  return { type: 'array', maxItems: transactionEntriesMax, items } as const;
}

function ref(name: string) {
  return { $ref: `#/components/schemas/${name}` } as const;
}
