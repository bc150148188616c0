import { InvalidArgumentError } from '../kv/errors.ts';
import type { Store, Transaction } from '../kv/store.ts';
import { realWorld } from '../kv/world.ts';
import {
  createOperations,
  type OperationEvent,
  type Operations,
  type OperationsOptions,
} from '../operations/operations.ts';
import { toResponse } from './answer.ts';
import { requestOf } from './call.ts';
import type { Core } from './core.ts';
import { exchange } from './exchange.ts';
import { incomingRequest } from './incoming.ts';
import { createRoute, type Handler, type RouteOptions } from './route.ts';
import type { AnswerEvent } from './settled.ts';

export interface OnceOptions<Context> extends Omit<OperationsOptions, 'onEvent'> {
  /**
   * Whose key it is: the tenant, the account, the user; never empty. Keys of different scopes know nothing of each other, so it
   * must come from what the server has verified, not from what the client claims.
   */
  readonly scope: (request: Request, context: Context) => string | Promise<string>;
  /** `ietf` answers another payload under a used key with 422, as the expired draft has it. Default `semel`: 409. */
  readonly profile?: 'semel' | 'ietf';
  /** Told of every answer to a request with a key, and of those refused for want of one. What it throws, or rejects with, is dropped. */
  readonly onEvent?: (event: AnswerEvent) => void;
  /** Told of every operation, by its key and with its durations; see `semel/operations`. */
  readonly onOperation?: (event: OperationEvent) => void;
}

/** Answers a request; `context` is what the server's framework knows of it besides. */
export type ProtectedHandler<Context> = (request: Request, context: Context) => Promise<Response>;

export interface Once<Tx extends Transaction, Context> {
  /** Makes a handler that takes effect once for each key. @throws InvalidArgumentError for options that do not fit */
  (handler: Handler<Tx, Context>, options?: RouteOptions<Context>): ProtectedHandler<Context>;
  readonly operations: Operations<Tx>;
}

/**
 * Protects handlers of web-standard requests: each gets the request and an open transaction, and returns its response.
 *
 *     const once = createOnce(store, { scope: (request) => tenantOf(request) });
 *     const transfer = once(async (request, tx) => Response.json(await book(tx, await request.json())));
 *     const response = await transfer(request);
 *
 * @throws InvalidArgumentError for options that do not fit
 */
export function createOnce<Tx extends Transaction, Context = void>(
  store: Store<Tx>,
  options: OnceOptions<Context>,
): Once<Tx, Context> {
  const { scope, ...rest } = options;
  if (typeof scope !== 'function') throw new InvalidArgumentError('scope', scope, 'a function');
  const core = createCore<Tx, Context>(store, (call) => scope(requestOf(call), call.context), rest);
  const once = (handler: Handler<Tx, Context>, routeOptions: RouteOptions<Context> = {}): ProtectedHandler<Context> => {
    const route = createRoute(handler, routeOptions, rest);
    return async (request, context) => toResponse(await exchange(core, route, incomingRequest(request), context));
  };
  return Object.assign(once, { operations: core.operations });
}

/** `scope` is asked of the call, for a door's own scope needs no Request made. @throws InvalidArgumentError */
export function createCore<Tx extends Transaction, Context>(
  store: Store<Tx>,
  scope: Core<Tx, Context>['scope'],
  { profile = 'semel', onEvent, onOperation, ...rest }: Omit<OnceOptions<Context>, 'scope'>,
): Core<Tx, Context> {
  if (profile !== 'semel' && profile !== 'ietf') throw new InvalidArgumentError('profile', profile, 'semel or ietf');
  const { world = realWorld } = rest;
  const operations = createOperations(store, onOperation === undefined ? rest : { ...rest, onEvent: onOperation });
  return { store, operations, world, scope, profile, onEvent };
}
