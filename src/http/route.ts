import { InvalidArgumentError } from '../kv/errors.ts';
import type { ReadTransaction, Transaction } from '../kv/store.ts';
import type { Value } from '../kv/value.ts';
import { retentionPolicy } from '../layers/idempotency/idempotency.ts';
import { defaultDeadlineMs, type OperationsOptions, type RunOptions } from '../operations/operations.ts';
import { fieldNames, keptHeaderNames } from './kept-headers.ts';

/**
 * Executes the operation. It returns its answer, and nothing is sent before its transaction has committed. It may run more than
 * once, each time with a transaction and a request of its own, so what it does outside the transaction must bear that.
 */
export type Handler<Tx extends Transaction, Context> = (
  request: Request,
  tx: Tx,
  context: Context,
) => Response | Promise<Response>;

/**
 * What stays of an operation, by its answer's status: writes and record (`all`), the record alone (`record`; the writes are
 * discarded, the reads still validated), or `nothing`, so that a retry executes.
 */
export type Keep = 'all' | 'record' | 'nothing';
export type StatusClass = '2xx' | '3xx' | '4xx' | '5xx';

export type RouteOptions<Context> = CommonRouteOptions<Context> & StorageOptions<Context>;

export interface CommonRouteOptions<Context> {
  /** Whether POST and PATCH need a key. PUT and DELETE take one and need none; GET, HEAD and OPTIONS have no use for it. Default `required`. */
  readonly key?: 'required' | 'optional';
  /**
   * What a duplicate of a running operation meets: it waits up to `waitMs` for the result; it is refused with 409 at once; or it is
   * accepted with 202 and told where to ask. Default `wait`.
   */
  readonly onDuplicate?: 'wait' | 'refuse' | 'accept';
  /** Where `accept` sends a duplicate to ask. */
  readonly operationUrl?: (key: string, context: Context) => string;
  /** The query parameters that make it the same request. Default: all of them. */
  readonly query?: readonly string[];
  /**
   * Request fields that make it the same request, beside the media type; above all the conditions that decide what it does, as
   * `If-Match`. Default: none, for most fields change from one try to the next.
   */
  readonly fingerprintHeaders?: readonly string[];
  /** Default: `2xx` and `3xx` all, `4xx` record, `5xx` nothing. */
  readonly keep?: Readonly<Partial<Record<StatusClass, Keep>>>;
  /** Response fields that are kept beside the usual ones (see docs/http.md). */
  readonly headers?: readonly string[];
  /** Bytes of what is kept of a response, or of a response that is not kept. Default `keptBytesMax`, which is also the most. */
  readonly responseBytesMax?: number;
  /** Default 1 MiB. A larger request body is refused with 413. */
  readonly bodyBytesMax?: number;
  readonly waitMs?: number;
  readonly deadlineMs?: number;
  /** For how long this route's clients may go on retrying. A shorter retention is refused at start. */
  readonly retryHorizonMs?: number;
  /**
   * Runs before the claim, outside every transaction, for whatever must not consume the key: authorisation, validation. A
   * Response refuses the request.
   */
  readonly guard?: (request: Request, context: Context) => Response | undefined | Promise<Response | undefined>;
}

export type StorageOptions<Context> = StoreResponse | StoreReference<Context>;

/** The whole response is kept. The default. */
export interface StoreResponse {
  readonly store?: 'response';
}

/**
 * Of a 2xx or 3xx an id alone is kept, and the replay is made from it. For responses that are large, or that must not lie in a
 * second place. Refusals (4xx) name nothing, so they are kept whole.
 */
export interface StoreReference<Context> {
  readonly store: 'reference';
  readonly reference: (response: Response) => Value | Promise<Value>;
  /** `undefined`: what the id names is gone. The client is told so with 410; the operation is never executed again. */
  readonly replay: (
    tx: ReadTransaction,
    reference: Value,
    context: Context,
  ) => Response | undefined | Promise<Response | undefined>;
}

/** A route's options, complete and checked. */
export interface Route<Tx extends Transaction, Context> {
  readonly handler: Handler<Tx, Context>;
  readonly key: 'required' | 'optional';
  readonly onDuplicate: 'wait' | 'refuse' | 'accept';
  readonly operationUrl: CommonRouteOptions<Context>['operationUrl'];
  readonly query: ReadonlySet<string> | 'all';
  readonly fingerprintHeaders: readonly string[];
  readonly keep: Readonly<Record<StatusClass, Keep>>;
  readonly headerNames: ReadonlySet<string>;
  readonly responseBytesMax: number;
  readonly bodyBytesMax: number;
  readonly deadlineMs: number;
  readonly runOptions: RunOptions;
  readonly guard: CommonRouteOptions<Context>['guard'];
  readonly reference: StoreReference<Context> | undefined;
}

/** A value of the store may have 1,048,576 bytes (`valueBytesMax`); the rest is for the record round it. */
export const keptBytesMax = 1_000_000;

/** A response that is not kept lies in memory until the commit, and no longer. */
export const passingBytesMax = 16_777_216;

/** Fastify's default, and enough for any command; bulk data belong elsewhere. */
export const defaultBodyBytesMax = 1_048_576;

const defaultKeep: Readonly<Record<StatusClass, Keep>> = Object.freeze({
  '2xx': 'all',
  '3xx': 'all',
  '4xx': 'record',
  '5xx': 'nothing',
});

/** @throws InvalidArgumentError: what is wrong with a route shows when it is made, not when it is used */
export function createRoute<Tx extends Transaction, Context>(
  handler: Handler<Tx, Context>,
  options: RouteOptions<Context>,
  shared: Omit<OperationsOptions, 'onEvent'>,
): Route<Tx, Context> {
  const { key = 'required', onDuplicate = 'wait', operationUrl, query, keep, store = 'response' } = options;
  const { responseBytesMax = keptBytesMax, bodyBytesMax = defaultBodyBytesMax, retryHorizonMs = 0 } = options;
  if (typeof handler !== 'function') throw new InvalidArgumentError('handler', handler, 'a function');
  oneOf('key', key, ['required', 'optional']);
  oneOf('onDuplicate', onDuplicate, ['wait', 'refuse', 'accept']);
  oneOf('store', store, ['response', 'reference']);
  if ((onDuplicate === 'accept') !== (typeof operationUrl === 'function')) {
    throw new InvalidArgumentError(
      'operationUrl',
      operationUrl,
      "a function with onDuplicate: 'accept', and only there",
    );
  }
  wholeBytes('responseBytesMax', responseBytesMax, keptBytesMax);
  wholeBytes('bodyBytesMax', bodyBytesMax, Number.MAX_SAFE_INTEGER);
  // The horizon of this route against the retention of all.
  retentionPolicy({ ...shared, retryHorizonMs });
  const deadlineMs = options.deadlineMs ?? shared.deadlineMs ?? defaultDeadlineMs;
  return {
    handler,
    key,
    onDuplicate,
    operationUrl,
    query: query === undefined ? 'all' : new Set(query),
    fingerprintHeaders: checkedFingerprintHeaders(options.fingerprintHeaders),
    keep: { ...defaultKeep, ...checkedKeep(keep) },
    headerNames: keptHeaderNames(options.headers ?? []),
    responseBytesMax,
    bodyBytesMax,
    deadlineMs,
    runOptions: {
      deadlineMs,
      // Who is to be accepted or refused must not wait before.
      onDuplicate: onDuplicate === 'wait' ? 'wait' : 'refuse',
      ...(options.waitMs === undefined ? {} : { waitMs: options.waitMs }),
    },
    guard: options.guard,
    reference: options.store === 'reference' ? checkedReference(options) : undefined,
  };
}

export function keepOf(route: Pick<Route<never, never>, 'keep'>, status: number): Keep {
  if (status < 300) return route.keep['2xx'];
  if (status < 400) return route.keep['3xx'];
  if (status < 500) return route.keep['4xx'];
  return route.keep['5xx'];
}

function checkedKeep(keep: CommonRouteOptions<never>['keep'] = {}): Partial<Record<StatusClass, Keep>> {
  for (const [statusClass, kept] of Object.entries(keep)) {
    oneOf('keep', statusClass, ['2xx', '3xx', '4xx', '5xx']);
    oneOf(`keep.${statusClass}`, kept, ['all', 'record', 'nothing']);
  }
  return keep;
}

function checkedFingerprintHeaders(names: readonly string[] = []): readonly string[] {
  const unique = [...new Set(fieldNames('fingerprintHeaders', names))];
  if (unique.includes('idempotency-key')) {
    throw new InvalidArgumentError('fingerprintHeaders', 'idempotency-key', 'fields beside the key');
  }
  return unique;
}

function checkedReference<Context>(options: StoreReference<Context>): StoreReference<Context> {
  const { reference, replay } = options;
  if (typeof reference !== 'function') throw new InvalidArgumentError('reference', reference, 'a function');
  if (typeof replay !== 'function') throw new InvalidArgumentError('replay', replay, 'a function');
  return options;
}

function oneOf(field: string, value: unknown, allowed: readonly string[]): void {
  if (typeof value !== 'string' || !allowed.includes(value)) {
    throw new InvalidArgumentError(field, value, `one of ${allowed.join(', ')}`);
  }
}

function wholeBytes(field: string, value: number, most: number): void {
  if (!Number.isSafeInteger(value) || value < 1 || value > most) {
    throw new InvalidArgumentError(field, value, `whole bytes from 1 to ${most}`);
  }
}
