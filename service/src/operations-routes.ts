import type { FastifyInstance, FastifyReply } from 'fastify';
import { idempotencyKeyCharsMax } from 'semel/idempotency';
import { keptResponse } from 'semel/http';
import type { Operations, OperationView } from 'semel/operations';
import { queryProblem } from './problem.ts';
import { parseQuery } from './query.ts';
import { sendJson, sendProblem, sendProblemDocument } from './send.ts';

interface KeyParams {
  readonly Params: { readonly idempotencyKey: string };
}

/** What became of the caller's own operations. A key of another tenant's is a key that was never seen. */
export function addOperationsRoutes(app: FastifyInstance, operations: Operations): void {
  app.get<KeyParams>('/v1/operations/:idempotencyKey', async (request, reply) => {
    const { idempotencyKey } = request.params;
    if (!isKey(idempotencyKey)) return refuseKey(reply);
    const queried = parseQuery(request.originalUrl, []);
    if (queried.outcome === 'refused') return sendProblemDocument(reply, queryProblem(queried));
    const view = await operations.look(request.tenant, idempotencyKey);
    if (view !== undefined) return sendJson(reply, await viewJson(idempotencyKey, view));
    const detail =
      'Not seen yet, or no longer known. That does not mean that it did not happen: the request may still be on its way. ' +
      'To be certain, cancel it: that returns its outcome, or makes sure that it never takes effect.';
    return sendProblem(reply, 'operation-not-seen', detail);
  });

  app.post<KeyParams>('/v1/operations/:idempotencyKey/cancel', async (request, reply) => {
    const { idempotencyKey } = request.params;
    if (!isKey(idempotencyKey)) return refuseKey(reply);
    const queried = parseQuery(request.originalUrl, []);
    if (queried.outcome === 'refused') return sendProblemDocument(reply, queryProblem(queried));
    return sendJson(reply, await viewJson(idempotencyKey, await operations.cancel(request.tenant, idempotencyKey)));
  });
}

/** In a path the key stands as it is: never in quotes, as the header allows. */
function isKey(given: string): boolean {
  return given.length <= idempotencyKeyCharsMax && /^[\x21-\x7e]+$/.test(given);
}

function refuseKey(reply: FastifyReply): FastifyReply {
  return sendProblem(reply, 'operation-key-invalid', 'an Idempotency-Key is 1 to 255 visible ASCII characters');
}

/**
 * `{ key, state, createdAt, completedAt, expiresAt, forgottenAt, outcome }`: times as RFC 3339 has them, null what there is
 * not. `expiresAt` is of an answer, which a cancelled operation has none of: `forgottenAt` is when its key is free again.
 */
async function viewJson(key: string, view: OperationView): Promise<string> {
  const facts = {
    key,
    state: view.state,
    createdAt: timestamp(view.createdAt),
    completedAt: timestamp('completedAt' in view ? view.completedAt : undefined),
    expiresAt: timestamp(view.state === 'complete' || view.state === 'expired' ? view.expiresAt : undefined),
    forgottenAt: timestamp(view.state === 'cancelled' ? view.expiresAt : undefined),
  };
  const response = view.state === 'complete' ? keptResponse(view.result) : undefined;
  const outcome = response === undefined ? 'null' : await outcomeJson(response);
  return `${JSON.stringify(facts).slice(0, -1)},"outcome":${outcome}}`;
}

/** The answer's body goes in as it is, so that no number of it passes through a parser. */
async function outcomeJson(response: Response): Promise<string> {
  const mediaType = response.headers.get('content-type');
  const etag = response.headers.get('etag');
  const facts = { status: response.status, mediaType, etag };
  const body = await response.text();
  return `${JSON.stringify(facts).slice(0, -1)},"body":${body === '' ? 'null' : body}}`;
}

function timestamp(atMs: number | undefined): string | null {
  return atMs === undefined ? null : new Date(atMs).toISOString();
}
