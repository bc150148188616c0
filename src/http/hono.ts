import type { Context, Env } from 'hono';
import { InvalidArgumentError } from '../kv/errors.ts';
import type { Store, Transaction } from '../kv/store.ts';
import type { Operations } from '../operations/operations.ts';
import { toResponse, type Answer } from './answer.ts';
import type { Core } from './core.ts';
import { bearsKey, exchange } from './exchange.ts';
import { incomingRequest, type Incoming } from './incoming.ts';
import { createCore, type OnceOptions } from './once.ts';
import { createRoute, type Handler, type Route, type RouteOptions } from './route.ts';
import { sendingNothing } from './sending-nothing.ts';
import { joinedVary } from './vary.ts';

/** What Hono knows of a request besides. */
export interface HonoContext<E extends Env = Env> {
  /** The values of the path's parameters. */
  readonly params: Readonly<Record<string, string>>;
  readonly c: Context<E>;
}

export interface HonoOnceOptions<E extends Env> extends Omit<OnceOptions<HonoContext<E>>, 'scope'> {
  /**
   * Whose key it is: the tenant, the account, the user; never empty. It runs after the middlewares before the route, so it may rely on what
   * an authenticating one has set.
   */
  readonly scope: (c: Context<E>) => string | Promise<string>;
}

export interface HonoOnce<Tx extends Transaction, E extends Env> {
  /** Makes a handler for a route of Hono. @throws InvalidArgumentError for options that do not fit */
  (handler: Handler<Tx, HonoContext<E>>, options?: RouteOptions<HonoContext<E>>): (c: Context<E>) => Promise<Response>;
  readonly operations: Operations<Tx>;
}

/**
 * Protects routes of Hono 4.
 *
 *     const once = createOnce(store, { scope: (c: Context<AppEnv>) => c.get('tenant') });
 *     app.post('/transfers', once(async (request, tx) => Response.json(…)));
 *
 * It reads the body itself, so it refuses each request whose body a middleware, a validator say, has read before.
 *
 * @throws InvalidArgumentError for options that do not fit
 */
export function createOnce<Tx extends Transaction, E extends Env = Env>(
  store: Store<Tx>,
  options: HonoOnceOptions<E>,
): HonoOnce<Tx, E> {
  const { scope, ...rest } = options;
  if (typeof scope !== 'function') throw new InvalidArgumentError('scope', scope, 'a function');
  const core = createCore<Tx, HonoContext<E>>(store, ({ context }) => scope(context.c), rest);
  const once = (handler: Handler<Tx, HonoContext<E>>, routeOptions: RouteOptions<HonoContext<E>> = {}) => {
    const route = createRoute(sendingNothing(handler, hasSent), routeOptions, rest);
    return async (c: Context<E>): Promise<Response> => {
      // What the middlewares before have set, and so goes out with the first answer and each replay alike.
      const earlier = new Headers(c.res.headers);
      // Of a body that is not this answer's.
      earlier.delete('content-length');
      return respond(c, earlier, await answerTo(core, route, c));
    };
  };
  return Object.assign(once, { operations: core.operations });
}

/** A fault is for Hono's error handler to answer, which keeps the fields that are set already. */
async function answerTo<Tx extends Transaction, E extends Env>(
  core: Core<Tx, HonoContext<E>>,
  route: Route<Tx, HonoContext<E>>,
  c: Context<E>,
): Promise<Answer> {
  try {
    const context = Object.freeze({ params: Object.freeze({ ...c.req.param() }), c });
    return await exchange(core, route, unreadIncoming(c.req.raw), context);
  } catch (error) {
    if (bearsKey({ method: c.req.method, header: (name) => c.req.header(name) })) {
      c.header('idempotency-outcome', 'refused');
    }
    throw error;
  }
}

/**
 * Hono keeps the body that a middleware has read, but as that one wanted to have it; from text or JSON the bytes can't be made again.
 *
 * @throws InvalidArgumentError
 */
function unreadIncoming(request: Request): Incoming {
  if (!request.bodyUsed) return incomingRequest(request);
  throw new InvalidArgumentError(
    'the request body',
    'read by a middleware before the protected route',
    "one that nobody has touched: validate in the route's guard, and put whatever else reads bodies on other routes",
  );
}

/** `c.res` set, or, on Node.js, the server's own answer written to. */
function hasSent<E extends Env>({ c }: HonoContext<E>): boolean {
  const outgoing: unknown = Reflect.get(Object(c.env), 'outgoing');
  return c.finalized || Reflect.get(Object(outgoing), 'headersSent') === true;
}

/**
 * The answer with the fields of the middlewares before. What the handler itself has set on `c` is taken back: only what it returns is its
 * answer, or else the first one would have what a replay has not.
 */
function respond<E extends Env>(c: Context<E>, earlier: Headers, answer: Answer): Response {
  // Somebody has answered in the meantime: a middleware that keeps the time, say. Hono sends that, and a retry is told of the outcome.
  if (c.finalized) return toResponse(answer);
  const fields = c.res.headers;
  for (const [name] of new Headers(fields)) fields.delete(name);
  for (const [name, value] of earlier) fields.append(name, value);
  for (const [name, value] of answer.headers) {
    if (name !== 'set-cookie')
      fields.set(name, name === 'vary' ? joinedVary(earlier.get(name) ?? undefined, value) : value);
    else if (!earlier.getSetCookie().includes(value)) fields.append(name, value);
  }
  return toResponse({ ...answer, headers: [...fields] });
}
