/** The fields of answers that say something, by what a client does with them. */
export const openapiHeaders = {
  ETag: header('The version of the key, in quotes; for If-Match and If-None-Match.'),
  'Idempotency-Outcome': header(
    'What became of a request with an Idempotency-Key. `executed` on a 4xx means that this answer was made by executing: ' +
      'nothing is changed, and the same request under the same key gets this answer again.',
    { enum: ['executed', 'replayed', 'in-progress', 'mismatch', 'expired', 'refused'] },
  ),
  'Idempotent-Replayed': header('`true` on every answer that carries the result of an earlier request.', {
    enum: ['true'],
  }),
  'Idempotency-Expires': header('Until when the result is kept: an HTTP-date, on executed and replayed answers.'),
  'Retry-After': header(
    'Seconds, where the same request may be sent again: to this same service, with the same Idempotency-Key.',
    { pattern: '^[0-9]+$' },
  ),
  Allow: header('The methods that the path takes, on `method-not-allowed`.'),
  'WWW-Authenticate': header('How to authenticate: `Bearer`.'),
} as const;

export type HeaderName = keyof typeof openapiHeaders;

/** On every answer to a request with an Idempotency-Key. */
export const onceHeaders = ['Idempotency-Outcome', 'Idempotent-Replayed', 'Idempotency-Expires'] as const;

/** The `headers` of a response. */
export function headerRefs(names: readonly HeaderName[]) {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

function header(description: string, schema: object = {}) {
  return { description, schema: { type: 'string' as const, ...schema } };
}
