import { once as event } from 'node:events';
import type { IncomingMessage } from 'node:http';
import express, { type RequestHandler } from 'express';
import Fastify from 'fastify';
import { openStore } from 'semel/embedded';
import { createOnce as expressOnce } from 'semel/express';
import { createOnce as fastifyOnce } from 'semel/fastify';
import { describe, expect, onTestFinished, test } from 'vitest';
import { doors, DoorUnderTest, post } from './doors.harness.ts';

const echo = async (request: Request): Promise<Response> => new Response(await request.text());

/** What two requests of one key and two bodies of one length are answered behind what a middleware does to the request. */
async function behind(door: 'express' | 'fastify', touch: (incoming: IncomingMessage) => unknown): Promise<string[]> {
  const store = await openStore();
  let origin: string;
  if (door === 'express') {
    const app = express();
    app.set('env', 'test');
    const middleware: RequestHandler = async (req, _res, next) => {
      await touch(req);
      next();
    };
    app.post('/', middleware, expressOnce(store, { scope: () => 'one' })(echo));
    const server = app.listen(0, '127.0.0.1');
    onTestFinished(() => server.closeAllConnections());
    await event(server, 'listening');
    const address = server.address();
    origin = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  } else {
    const app = Fastify();
    onTestFinished(() => app.close());
    app.addHook('onRequest', async (request) => void (await touch(request.raw)));
    app.register(fastifyOnce(store, { scope: () => 'one' })({ method: 'POST', url: '/', handler: echo }));
    origin = await app.listen({ port: 0, host: '127.0.0.1' });
  }
  const answers: string[] = [];
  for (const body of ['to ann', 'to bob']) {
    const headers = { 'idempotency-key': 'k' };
    const response = await fetch(origin, { method: 'POST', headers, body });
    const text = await response.text();
    answers.push(
      response.status === 200 ? `${response.headers.get('idempotency-outcome')} ${text}` : `${response.status}`,
    );
  }
  return answers;
}

describe.each(['express', 'fastify'] as const)('semel/%s', (door) => {
  test('createOnce refuses a body that somebody has set an encoding for, and does not take it for zeros', async () => {
    expect(await behind(door, (incoming) => incoming.setEncoding('utf8'))).toEqual(['500', '500']);
  });
  test('createOnce refuses a body that somebody has read, and does not take it for an empty one', async () => {
    const readAll = async (incoming: IncomingMessage): Promise<void> => {
      for await (const _chunk of incoming.iterator({ destroyOnReturn: false }));
    };
    expect(await behind(door, readAll)).toEqual(['500', '500']);
  });
  test('createOnce reads a body that somebody has paused', async () => {
    const pausing = (incoming: IncomingMessage): void => void incoming.pause();
    expect(await behind(door, pausing)).toEqual(['executed to ann', '409']);
  });
});

describe.each(doors.filter(({ name }) => name !== 'semel/http'))('$name', (door) => {
  const at = new DoorUnderTest(door);
  test('createOnce takes a target in absolute form (RFC 9112, section 3.2.2) for the same request', async () => {
    await at.serve([{ ...post((request) => new Response(request.url)), path: '/orders' }]);
    const authority = `127.0.0.1:${at.port}`;
    const headers = { host: authority, 'idempotency-key': 'k' };
    const origin = await at.sendPlainly('/orders?a=1', headers);
    const absolute = await at.sendPlainly(`http://${authority}/orders?a=1`, headers);
    expect(absolute.response.statusCode).toBe(200);
    expect(absolute.response.headers['idempotency-outcome']).toBe('replayed');
    expect(absolute.text).toBe(origin.text);
  });
});
test('createOnce of semel/fastify compares the path as it was sent, also where rewriteUrl has changed it', async () => {
  const app = Fastify({ rewriteUrl: () => '/orders' });
  const once = fastifyOnce(await openStore(), { scope: () => 'one' });
  app.register(once({ method: 'POST', url: '/orders', handler: () => new Response('x') }));
  const send = (url: string) => app.inject({ method: 'POST', url, headers: { 'idempotency-key': 'k' } });
  await send('/v1/orders');
  expect((await send('/v2/orders')).headers['idempotency-outcome']).toBe('mismatch');
});
