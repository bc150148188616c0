import { STATUS_CODES } from 'node:http';
import {
  LogController,
  fastify,
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import type { World } from 'semel';
import type { ApiKeys } from './api-keys.ts';
import { identifyCallers } from './caller.ts';
import { addDocumentation } from './documentation.ts';
import { drain, keepOpen } from './drain.ts';
import { faultForLog, problemOfFault, stoppingProblem } from './fault-problem.ts';
import { refuseForeignCallers } from './foreign-callers.ts';
import { addHealthRoutes, type Health } from './health.ts';
import { addKvReadRoutes } from './kv-read-routes.ts';
import { Methods } from './methods.ts';
import type { Metrics } from './metrics.ts';
import { addOnceRoutes } from './once-routes.ts';
import { addOperationsRoutes } from './operations-routes.ts';
import type { Paging } from './paging.ts';
import { isGrave, problemMediaType } from './problem.ts';
import { allowHalfOpen, headOptions, judgeHeads } from './request-head.ts';
import { sendProblem, sendProblemDocument } from './send.ts';
import { serviceLimits } from './service-limits.ts';
import type { Storage } from './storage.ts';

export interface ApplicationParts {
  readonly storage: Storage;
  readonly world: World;
  readonly paging: Paging;
  readonly metrics: Metrics;
  readonly health: Health;
  readonly apiKeys: ApiKeys | undefined;
  readonly log: FastifyBaseLogger;
}

/** All routes, before anything listens. */
export async function buildApplication(parts: ApplicationParts): Promise<FastifyInstance> {
  const { storage, world, paging, metrics, health, apiKeys } = parts;
  const { store } = storage;
  const app = bareApplication(parts.log);
  const methods = new Methods(app);
  allowHalfOpen(app.server);
  observe(app, parts);
  judgeHeads(app);
  if (apiKeys === undefined) refuseForeignCallers(app);
  app.addHook('onRequest', async (request, reply) => {
    if (health.stopping) {
      return sendProblemDocument(reply, stoppingProblem());
    }
    // Now, for Fastify would read the body before it says that there is nobody to read it for.
    return request.is404 ? refuseRoute(request, reply, methods) : undefined;
  });
  app.setErrorHandler((error, request, reply) => {
    metrics.countFailure(error);
    const document = problemOfFault(error);
    request.log[isGrave(document) ? 'error' : 'debug'](
      { route: routeOf(request), fault: faultForLog(error) },
      document.title,
    );
    return sendProblemDocument(reply, document);
  });
  app.setNotFoundHandler((request, reply) => refuseRoute(request, reply, methods));
  await addDocumentation(app);
  addHealthRoutes(app, storage);
  await app.register(async (api) => {
    identifyCallers(api, apiKeys);
    // The routes that want a body read it themselves; to the others it means nothing, whatever its type.
    api.removeAllContentTypeParsers();
    api.addContentTypeParser('*', (_request, _payload, done) => done(null));
    addKvReadRoutes(api, { store, paging });
    const operations = addOnceRoutes(api, { store, world, onOutcome: (outcome) => metrics.countOutcome(outcome) });
    addOperationsRoutes(api, operations);
    metrics.watch('semel_operations_in_flight', 'Operations that execute just now.', () => operations.inFlight);
    metrics.watch('semel_operations_waiting', 'Duplicates that wait for one of them.', () => operations.waiting);
    api.get('/metrics', async (_, reply) =>
      reply.type(metrics.registry.contentType).send(await metrics.registry.metrics()),
    );
  });
  return app;
}

function bareApplication(log: FastifyBaseLogger): FastifyInstance {
  return fastify({
    loggerInstance: log,
    // Fastify's own lines hold concrete URLs, which hold keys; `observe` writes ours.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: serviceLimits.bodyBytesMax,
    requestTimeout: serviceLimits.requestMsMax,
    http: { ...headOptions, maxHeaderSize: serviceLimits.headBytesMax },
    routerOptions: { maxParamLength: serviceLimits.headBytesMax },
    // A request that comes while the service stops meets our own hook, which answers with a problem.
    return503OnClosing: false,
    frameworkErrors(error, _, reply) {
      sendProblemDocument(reply, problemOfFault(error));
    },
    clientErrorHandler(error, socket) {
      if (!socket.writable || error.code === 'ECONNRESET') return;
      const document = problemOfFault({ code: error.code, statusCode: 400 });
      const body = JSON.stringify(document);
      const head = [
        `HTTP/1.1 ${document.status} ${STATUS_CODES[document.status]}`,
        'connection: close',
        `content-type: ${problemMediaType}`,
        `content-length: ${Buffer.byteLength(body)}`,
      ];
      socket.end([...head, '', body].join('\r\n'));
    },
  });
}

function refuseRoute(request: FastifyRequest, reply: FastifyReply, methods: Methods): FastifyReply {
  const allowed = methods.allowedAt(request.originalUrl);
  if (allowed === undefined) return sendProblem(reply, 'route-unknown', 'the page at /docs lists what there is');
  reply.header('allow', allowed);
  return sendProblem(reply, 'method-not-allowed', `this path takes ${allowed}`);
}

function observe(app: FastifyInstance, { metrics, world, health }: ApplicationParts): void {
  app.addHook('onSend', async (request, reply, payload) => {
    // Also to what had begun before: its connection would stay open otherwise, and the stop would wait for it.
    if (health.stopping) reply.header('connection', 'close');
    keepOpen(request.raw, reply, { thenClose: health.stopping });
    return payload;
  });
  app.addHook('onResponse', async (request, reply) => {
    drain(request.raw, world);
    const { method } = request;
    const facts = { method, route: routeOf(request), status: reply.statusCode };
    metrics.requestSeconds.observe(facts, reply.elapsedTime / 1_000);
    request.log.debug({ ...facts, durationMs: reply.elapsedTime }, 'answered');
  });
}

/** The pattern, never the path: a path holds keys, and there are only so many patterns. */
function routeOf(request: FastifyRequest): string {
  return request.routeOptions.url ?? 'none';
}
