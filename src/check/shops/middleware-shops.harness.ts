import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Idempotency, IdempotencyError, IdempotencyErrorCodes } from '@node-idempotency/core';
import { MemoryStorageAdapter } from '@node-idempotency/storage-adapter-memory';
import express, { type Express, type Request } from 'express';
import { getSharedIdempotencyService, idempotency } from 'express-idempotency';
import { onTestFinished } from 'vitest';
import { latency } from './shop.harness.ts';

/** A shop whose keys are the affair of a middleware. */
export interface MiddlewareShop {
  readonly orders: string;
  readonly count: string;
}

/**
 * `express-idempotency` 1.0.6 with its own defaults, by its README: "Getting started", "Determine a idempotency hit in route handler",
 * "Report error in processing request". What the README writes as `app.post('*')` is spelled `/{*path}` in Express 5.
 */
export function serveExpressIdempotency(): Promise<MiddlewareShop> {
  return serve((app, place) => {
    app.post('/{*path}', idempotency());
    app.post('/{*path}', async (request, response) => {
      const service = getSharedIdempotencyService();
      if (service.isHit(request)) return;
      const refusal = await place(request);
      if (refusal !== undefined) {
        void service.reportError(request);
        return void response.status(refusal).json({ error: 'no order was placed' });
      }
      const order = randomUUID();
      response.status(201).location(`/orders/${order}`).json({ order });
    });
  });
}

/**
 * `@node-idempotency/core` 1.0.11 over its memory storage, by the usage in its README: `onRequest` before the handler, its answer sent
 * as `res.status(response.additional.status).send(response.body)`, and `onResponse` with what the handler answers, "or error: your_error".
 * The path is `request.url`, as in the plugins that its authors publish.
 */
export function serveNodeIdempotency(): Promise<MiddlewareShop> {
  const idempotency = new Idempotency(new MemoryStorageAdapter());
  return serve((app, place) => {
    app.post('/{*path}', async (request, response) => {
      const { method, headers, url: path } = request;
      const params = { method, headers, body: request.body as Record<string, unknown>, path };
      try {
        const kept = await idempotency.onRequest(params);
        if (kept !== undefined) {
          return void response.status(Number(kept.additional?.['status'])).send(kept.body ?? kept.error);
        }
      } catch (error) {
        if (!(error instanceof IdempotencyError)) throw error;
        return void response.status(statusOf(error)).json({ error: error.message });
      }
      const refusal = await place(request);
      const status = refusal ?? 201;
      const result = refusal === undefined ? { body: { order: randomUUID() } } : { error: 'no order was placed' };
      await idempotency.onResponse(params, { ...result, additional: { status } });
      response.status(status).send(result.body ?? result.error);
    });
  });
}

/** As its authors map them in their plugins. */
function statusOf({ code }: IdempotencyError): number {
  if (code === IdempotencyErrorCodes.REQUEST_IN_PROGRESS) return 409;
  return code === IdempotencyErrorCodes.IDEMPOTENCY_FINGERPRINT_MISSMATCH ? 422 : 400;
}

/** Places an order; or answers with what status it is refused. */
type Place = (request: Request) => Promise<402 | 500 | undefined>;

async function serve(build: (app: Express, place: Place) => void): Promise<MiddlewareShop> {
  const app = express();
  let orders = 0;
  app.use(express.json());
  app.get('/count', (_, response) => void response.json({ orders }));
  build(app, async (request) => {
    await latency();
    if (request.get('x-fault') !== undefined) return 500;
    if ((request.body as { cups?: number }).cups === 0) return 402;
    orders += 1;
    return undefined;
  });
  const server = createServer(app);
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { orders: `${origin}/orders`, count: `${origin}/count` };
}
