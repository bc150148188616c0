import type { Request as ExpressRequest, RequestHandler, Response as ExpressResponse } from 'express';
import { InvalidArgumentError } from '../kv/errors.ts';
import type { Store, Transaction } from '../kv/store.ts';
import type { Operations } from '../operations/operations.ts';
import type { Answer } from './answer.ts';
import type { Core } from './core.ts';
import { bearsKey, exchange } from './exchange.ts';
import type { Incoming } from './incoming.ts';
import { isTouched, readNodeBody } from './node-body.ts';
import { nodeIncoming } from './node-incoming.ts';
import { createCore, type OnceOptions } from './once.ts';
import { createRoute, type Handler, type Route, type RouteOptions } from './route.ts';
import { sendingNothing } from './sending-nothing.ts';
import { joinedVary } from './vary.ts';

/** What Express knows of a request besides. */
export interface ExpressContext {
  /** The values of the path's parameters, the segments of a wildcard joined by slashes; `req.params` has those apart. */
  readonly params: Readonly<Record<string, string>>;
  readonly req: ExpressRequest;
}

export interface ExpressOnceOptions extends Omit<OnceOptions<ExpressContext>, 'scope'> {
  /**
   * Whose key it is: the tenant, the account, the user; never empty. It runs after the middlewares before the route, so it may rely on what
   * an authenticating one left on the request.
   */
  readonly scope: (req: ExpressRequest) => string | Promise<string>;
}

export interface ExpressOnce<Tx extends Transaction> {
  /** Makes a handler for a route of Express. @throws InvalidArgumentError for options that do not fit */
  (handler: Handler<Tx, ExpressContext>, options?: RouteOptions<ExpressContext>): RequestHandler;
  readonly operations: Operations<Tx>;
}

/**
 * Protects routes of Express 5.
 *
 *     const once = createOnce(store, { scope: (req) => req.tenant });
 *     app.post('/transfers', once(async (request, tx) => Response.json(…)));
 *
 * It reads the body itself, so a protected route has to come before any body parser. The order in which an application
 * names its middlewares cannot be seen from here, so one that comes after a parser refuses each request, before anything runs.
 *
 * @throws InvalidArgumentError for options that do not fit
 */
export function createOnce<Tx extends Transaction>(store: Store<Tx>, options: ExpressOnceOptions): ExpressOnce<Tx> {
  const { scope, ...rest } = options;
  if (typeof scope !== 'function') throw new InvalidArgumentError('scope', scope, 'a function');
  const core = createCore<Tx, ExpressContext>(store, ({ context }) => scope(context.req), rest);
  const once = (
    handler: Handler<Tx, ExpressContext>,
    routeOptions: RouteOptions<ExpressContext> = {},
  ): RequestHandler => {
    const route = createRoute(sendingNothing(handler, hasSent), routeOptions, rest);
    // What it throws Express hands to its error handlers.
    return async (req, res) => send(res, await answerTo(core, route, req, res));
  };
  return Object.assign(once, { operations: core.operations });
}

/** A fault is for Express' error handlers to answer, which keep the fields that are set already. */
async function answerTo<Tx extends Transaction>(
  core: Core<Tx, ExpressContext>,
  route: Route<Tx, ExpressContext>,
  req: ExpressRequest,
  res: ExpressResponse,
): Promise<Answer> {
  const incoming = expressIncoming(req);
  try {
    refuseReadBody(req);
    return await exchange(core, route, incoming, Object.freeze({ params: paramsOf(req), req }));
  } catch (error) {
    if (bearsKey(incoming) && !res.headersSent) res.setHeader('idempotency-outcome', 'refused');
    throw error;
  }
}

function expressIncoming(req: ExpressRequest): Incoming {
  const { method, originalUrl, protocol, host, rawHeaders } = req;
  const readBody: Incoming['readBody'] = (bytesMax) => readNodeBody(req, bytesMax);
  return nodeIncoming({ method, target: originalUrl, protocol, host, rawHeaders, readBody });
}

/**
 * Bytes that somebody has decoded are no longer what was sent. A parser leaves its mark on each request, also on one whose media
 * type is not its own, so the first request to a misplaced route is refused, whatever it is.
 *
 * @throws InvalidArgumentError
 */
function refuseReadBody(req: ExpressRequest): void {
  if (!Object.hasOwn(req, 'body') && !isTouched(req)) return;
  throw new InvalidArgumentError(
    'the request body',
    'read by a middleware before the protected route',
    'one that nobody has touched: put express.json(), and whatever else reads bodies, after the protected routes or on the paths that need it',
  );
}

function paramsOf({ params }: ExpressRequest): Readonly<Record<string, string>> {
  const textOf = (value: string | string[]): string => (Array.isArray(value) ? value.join('/') : value);
  const given = Object.entries(params).map(([name, value]) => [name, textOf(value)] as const);
  return Object.freeze(Object.fromEntries(given));
}

function hasSent({ req }: ExpressContext): boolean {
  return req.res?.headersSent === true || req.res?.writableEnded === true;
}

function send(res: ExpressResponse, { status, headers, body }: Answer): void {
  // Somebody has answered in the meantime: a middleware that keeps the time, say. The outcome stands, and a retry is told of it.
  if (res.headersSent) return;
  res.status(status);
  for (const [name, value] of headers) {
    if (name === 'set-cookie') res.append(name, value);
    else res.setHeader(name, name === 'vary' ? joinedVary(res.getHeader(name)?.toString(), value) : value);
  }
  // The length of this body, whatever a middleware said before of another; and HEAD has one, too.
  if (res.hasHeader('content-length')) res.removeHeader('content-length');
  if (body.length > 0) res.setHeader('content-length', body.length);
  // Node.js takes such a field for UTF-8 where it knows the length by then: from the body, or from a field that comes before.
  if (headers.some(([name, value]) => name === 'content-disposition' && notAscii.test(value))) res.writeHead(status);
  // Not by `res.send`, which would add a media type and a validator of its own.
  if (body.length === 0) res.end();
  else res.end(Buffer.from(body.buffer, body.byteOffset, body.byteLength));
}

const notAscii = /[^\0-\x7f]/;
