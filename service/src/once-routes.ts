import type { FastifyInstance, FastifyRequest } from 'fastify';
import { limits, type Store, type Transaction, type World } from 'semel';
import { createOnce, type FastifyContext } from 'semel/fastify';
import type { AnswerOutcome } from 'semel/http';
import type { Operations } from 'semel/operations';
import { parseJson, type Json } from './json.ts';
import { keyOfTarget } from './kv-key.ts';
import { deleteKey, putValue, type KvWrite } from './kv-write.ts';
import { isJson } from './media-type.ts';
import { parsePreconditions } from './preconditions.ts';
import { problemResponse, queryProblem, responseOf } from './problem.ts';
import { parseQuery } from './query.ts';
import { serviceLimits } from './service-limits.ts';
import { parseTransactionRequest, type TransactionRequest } from './transaction-request.ts';
import { executeTransaction } from './transaction.ts';

export interface OnceRoutesOptions {
  readonly store: Store;
  readonly world: World;
  readonly onOutcome: (outcome: AnswerOutcome) => void;
}

/**
 * The routes that write, each once for an Idempotency-Key. What can be judged without the store is judged in the guard: what
 * fails there has consumed no key, and can be sent again under it when it is mended.
 */
export function addOnceRoutes(app: FastifyInstance, { store, world, onOutcome }: OnceRoutesOptions): Operations {
  const once = createOnce<Transaction>(store, {
    world,
    scope: (request) => request.tenant,
    onEvent: ({ outcome }) => onOutcome(outcome),
  });
  const { bodyBytesMax, valueBodyBytesMax, deleteBodyBytesMax, deadlineMs } = serviceLimits;

  // A condition decides what a request does, so under another one it is another request.
  const fingerprintHeaders = ['if-match', 'if-none-match'];

  const puts = new Judged(judgePut);
  app.register(
    once(
      {
        method: 'PUT',
        url: '/v1/kv/*',
        handler: async (_, tx, context) => {
          const { write, value } = puts.accepted(context);
          return putValue(tx, write, value);
        },
      },
      { bodyBytesMax: valueBodyBytesMax, deadlineMs, fingerprintHeaders, guard: puts.guard },
    ),
  );

  const deletions = new Judged(judgeWrite);
  app.register(
    once(
      {
        method: 'DELETE',
        url: '/v1/kv/*',
        handler: async (_, tx, context) => deleteKey(tx, deletions.accepted(context)),
      },
      { bodyBytesMax: deleteBodyBytesMax, deadlineMs, fingerprintHeaders, guard: deletions.guard },
    ),
  );

  const transactions = new Judged(judgeTransaction);
  app.register(
    once(
      {
        method: 'POST',
        url: '/v1/transactions',
        handler: async (_, tx, context) =>
          executeTransaction(tx, context.request.tenant, transactions.accepted(context)),
      },
      { bodyBytesMax, deadlineMs, key: 'required', guard: transactions.guard },
    ),
  );
  return once.operations;
}

/** Judges requests before the claim, and hands what it accepted to the handler, which may run more than once. */
class Judged<T> {
  readonly #judge: (request: FastifyRequest, body: Uint8Array) => Judgement<T>;
  readonly #accepted = new WeakMap<FastifyRequest, { readonly value: T }>();

  constructor(judge: (request: FastifyRequest, body: Uint8Array) => Judgement<T>) {
    this.#judge = judge;
  }

  readonly guard = async (request: Request, context: FastifyContext): Promise<Response | undefined> => {
    const judgement = this.#judge(context.request, await request.bytes());
    if (judgement.outcome === 'refused') return judgement.response;
    this.#accepted.set(context.request, judgement);
    return undefined;
  };

  accepted(context: FastifyContext): T {
    const accepted = this.#accepted.get(context.request);
    if (accepted === undefined) throw new Error('assertion failed: the guard ran before the handler');
    return accepted.value;
  }
}

type Judgement<T> =
  | { readonly outcome: 'accepted'; readonly value: T }
  | { readonly outcome: 'refused'; readonly response: Response };

function judgeWrite(request: FastifyRequest): Judgement<KvWrite> {
  const query = parseQuery(request.originalUrl, []);
  if (query.outcome === 'refused') return refused(responseOf(queryProblem(query)));
  const named = keyOfTarget(request.originalUrl);
  if (named.outcome === 'refused') return refused(problemResponse('kv-key-invalid', named.reason));
  const parsed = parsePreconditions(request.headers);
  if (parsed.outcome === 'refused') {
    const detail = `${parsed.header} is neither * nor a list of entity tags`;
    return refused(problemResponse('precondition-invalid', detail));
  }
  return accepted({ tenant: request.tenant, key: named.key, preconditions: parsed.preconditions });
}

function judgePut(request: FastifyRequest, body: Uint8Array): Judgement<{ write: KvWrite; value: Json }> {
  if (!isJson(request.headers)) return refused(mediaTypeUnsupported());
  const judged = judgeWrite(request);
  if (judged.outcome === 'refused') return judged;
  const parsed = parseJson(body, { depthMax: limits.valueDepthMax, nodesMax: serviceLimits.jsonNodesMax });
  switch (parsed.outcome) {
    case 'ok':
      return accepted({ write: judged.value, value: parsed.value });
    case 'too-many-nodes':
      return refused(tooManyNodes());
    case 'refused':
      return refused(problemResponse('json-invalid', parsed.reason, at(parsed.pointer)));
  }
}

function judgeTransaction(request: FastifyRequest, body: Uint8Array): Judgement<TransactionRequest> {
  if (!isJson(request.headers)) return refused(mediaTypeUnsupported());
  const query = parseQuery(request.originalUrl, []);
  if (query.outcome === 'refused') return refused(responseOf(queryProblem(query)));
  const parsed = parseTransactionRequest(body);
  switch (parsed.outcome) {
    case 'ok':
      return accepted(parsed.request);
    case 'too-many-nodes':
      return refused(tooManyNodes());
    case 'refused':
      return refused(problemResponse(parsed.problem, parsed.reason, at(parsed.pointer)));
  }
}

function tooManyNodes(): Response {
  const { jsonNodesMax } = serviceLimits;
  const detail = `jsonNodesMax is ${jsonNodesMax}: items and members in the body, at all levels`;
  return problemResponse('limit-exceeded', detail, { limit: 'jsonNodesMax', maximum: jsonNodesMax });
}

function mediaTypeUnsupported(): Response {
  return problemResponse(
    'media-type-unsupported',
    'this route takes application/json in UTF-8, with no content coding',
  );
}

function at(pointer: string | undefined): { readonly pointer?: string } {
  return pointer === undefined ? {} : { pointer };
}

function accepted<T>(value: T): Judgement<T> {
  return { outcome: 'accepted', value };
}

function refused(response: Response): { readonly outcome: 'refused'; readonly response: Response } {
  return { outcome: 'refused', response };
}
