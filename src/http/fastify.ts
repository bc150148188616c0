import type {
  FastifyInstance,
  FastifyPluginAsync,
  FastifyReply,
  FastifyRequest,
  RouteOptions as FastifyRoute,
} from 'fastify';
import { InvalidArgumentError } from '../kv/errors.ts';
import type { Store, Transaction } from '../kv/store.ts';
import type { Operations } from '../operations/operations.ts';
import type { Answer } from './answer.ts';
import type { Core } from './core.ts';
import { bearsKey, exchange, refuseBody } from './exchange.ts';
import { captureBody, capturedBody } from './fastify-body.ts';
import { fastifyIncoming } from './fastify-incoming.ts';
import type { Incoming } from './incoming.ts';
import { createCore, type OnceOptions } from './once.ts';
import { createRoute, type Handler, type Route, type RouteOptions } from './route.ts';
import { sendingNothing } from './sending-nothing.ts';
import { joinedVary } from './vary.ts';

/** What Fastify knows of a request besides. */
export interface FastifyContext {
  /** The values of the path's parameters, as they came; `request.params` has them as a schema made them. */
  readonly params: Readonly<Record<string, string>>;
  readonly request: FastifyRequest;
}

export interface FastifyOnceOptions extends Omit<OnceOptions<FastifyContext>, 'scope'> {
  /**
   * Whose key it is: the tenant, the account, the user; never empty. It runs after all hooks, so it may rely on what an
   * authenticating hook left on the request.
   */
  readonly scope: (request: FastifyRequest) => string | Promise<string>;
}

/** A route of Fastify's with a handler of ours. The options that could come between it and the raw body are not there. */
export type OnceRoute<Tx extends Transaction> = Omit<FastifyRoute, 'handler' | 'bodyLimit' | 'preParsing'> & {
  readonly handler: Handler<Tx, FastifyContext>;
};

export interface FastifyOnce<Tx extends Transaction> {
  /** Makes a protected route, to be registered. @throws InvalidArgumentError for options that do not fit */
  (route: OnceRoute<Tx>, options?: RouteOptions<FastifyContext>): FastifyPluginAsync;
  readonly operations: Operations<Tx>;
}

/**
 * Protects routes of Fastify 5.
 *
 *     const once = createOnce(store, { scope: (request) => request.tenant });
 *     app.register(once({ method: 'POST', url: '/transfers', handler: async (request, tx) => Response.json(…) }));
 *
 * Each protected route is a plugin, and so has a scope of its own in which no parser but ours sees the body. Hooks, schemas, error
 * handlers and plugins of the scopes round it work as for any other route.
 *
 * @throws InvalidArgumentError for options that do not fit
 */
export function createOnce<Tx extends Transaction>(store: Store<Tx>, options: FastifyOnceOptions): FastifyOnce<Tx> {
  const { scope, ...rest } = options;
  if (typeof scope !== 'function') throw new InvalidArgumentError('scope', scope, 'a function');
  const core = createCore<Tx, FastifyContext>(store, ({ context }) => scope(context.request), rest);
  const once = (onceRoute: OnceRoute<Tx>, routeOptions: RouteOptions<FastifyContext> = {}): FastifyPluginAsync => {
    const { handler, ...fastifyRoute } = onceRoute;
    const route = createRoute(sendingNothing(handler, hasSent), routeOptions, rest);
    return async (app) => addRoute(app, fastifyRoute, core, route);
  };
  return Object.assign(once, { operations: core.operations });
}

function addRoute<Tx extends Transaction>(
  app: FastifyInstance,
  fastifyRoute: Omit<OnceRoute<Tx>, 'handler'>,
  core: Core<Tx, FastifyContext>,
  route: Route<Tx, FastifyContext>,
): void {
  captureBody(app, {
    url: fastifyRoute.url,
    bodyBytesMax: route.bodyBytesMax,
    parsesJson: fastifyRoute.schema?.body !== undefined,
    onTooLarge: (reply) => void send(reply, refuseBody(core, route)),
  });
  app.route({
    ...fastifyRoute,
    async handler(request, reply) {
      const context: FastifyContext = Object.freeze({ params: paramsOf(request), request });
      replies.set(context, reply);
      const incoming = fastifyIncoming(request, capturedBody);
      return send(reply, await answerTo(incoming, reply, () => exchange(core, route, incoming, context)));
    },
  });
}

/** A fault is for Fastify's error handler to answer, which keeps the fields that are set already. */
async function answerTo(incoming: Incoming, reply: FastifyReply, answer: () => Promise<Answer>): Promise<Answer> {
  try {
    return await answer();
  } catch (error) {
    if (bearsKey(incoming)) reply.header('idempotency-outcome', 'refused');
    throw error;
  }
}

/** Not in the context, where handlers would find it and send by it. */
const replies = new WeakMap<FastifyContext, FastifyReply>();

function hasSent(context: FastifyContext): boolean {
  const reply = replies.get(context);
  return reply?.sent === true || reply?.raw.headersSent === true;
}

function paramsOf({ params }: FastifyRequest): Readonly<Record<string, string>> {
  if (typeof params !== 'object' || params === null) return {};
  const given = Object.entries(params).filter(([, value]) => value !== undefined);
  return Object.freeze(Object.fromEntries(given.map(([name, value]) => [name, String(value)])));
}

function send(reply: FastifyReply, { status, headers, body }: Answer): FastifyReply {
  reply.code(status);
  for (const [name, value] of headers) {
    reply.header(name, name === 'vary' ? joinedVary(reply.getHeader(name)?.toString(), value) : value);
  }
  // Bytes, for whatever else it takes Fastify would serialize or label anew.
  return body.length === 0 ? reply.send() : reply.send(Buffer.from(body.buffer, body.byteOffset, body.byteLength));
}
