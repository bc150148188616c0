import { once as event } from 'node:events';
import type { AddressInfo } from 'node:net';
import { serve } from '@hono/node-server';
import express from 'express';
import Fastify from 'fastify';
import { Hono } from 'hono';
import { openStore } from 'semel/embedded';
import { createOnce as expressOnce } from 'semel/express';
import { createOnce as fastifyOnce } from 'semel/fastify';
import { createOnce as honoOnce } from 'semel/hono';
import { expect, onTestFinished, test } from 'vitest';

/* What docs/http.md says that one door does and another does not, because their frameworks do. */

async function fastifyOrigin(): Promise<string> {
  const app = Fastify();
  onTestFinished(() => app.close());
  const once = fastifyOnce(await openStore(), { scope: () => 'one' });
  const bytes = () => new Response(new Uint8Array([1, 2]));
  app.register(once({ method: 'POST', url: '/bytes', handler: bytes }, { bodyBytesMax: 8 }));
  app.register(once({ method: 'POST', url: '/named/:name', handler: named }));
  const body = { type: 'object', required: ['amount'] };
  app.register(once({ method: 'POST', url: '/schema', schema: { body }, handler: bytes }));
  return app.listen({ port: 0, host: '127.0.0.1' });
}

async function honoOrigin(): Promise<string> {
  const app = new Hono();
  const once = honoOnce(await openStore(), { scope: () => 'one' });
  const bytes = once(() => new Response(new Uint8Array([1, 2])));
  app.post('/bytes', bytes);
  app.post('/named/:name', once(named));
  // Hono answers HEAD by what GET would get.
  app.get('/bytes', bytes);
  const server = serve({ fetch: app.fetch, port: 0, hostname: '127.0.0.1' });
  onTestFinished(() => void server.close());
  await event(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function expressOrigin(): Promise<string> {
  const app = express();
  const once = expressOnce(await openStore(), { scope: () => 'one' });
  app.post('/named/:name', once(named));
  // Its own handler would print the fault.
  const answerFault: express.ErrorRequestHandler = ({ status }, _request, response, _next) =>
    void response.sendStatus(status);
  app.use(answerFault);
  const server = app.listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await event(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const named = (_request: Request, _tx: unknown, { params }: { params: Readonly<Record<string, unknown>> }): Response =>
  new Response(null, { status: params['name'] === '%zz' ? 200 : 500 });

async function send(url: string, init: RequestInit & { headers?: Record<string, string> } = {}) {
  const { status, headers } = await fetch(url, { method: 'POST', ...init });
  const field = (name: string): string | null => headers.get(name);
  return {
    status,
    type: field('content-type'),
    length: field('content-length'),
    outcome: field('idempotency-outcome'),
  };
}

const key = { 'idempotency-key': 'k' };

test('Fastify labels bytes without a media type as application/octet-stream', async () => {
  const answer = await send(`${await fastifyOrigin()}/bytes`, { headers: key });
  expect(answer).toMatchObject({ status: 200, type: 'application/octet-stream', outcome: 'executed' });
});

test('Fastify reads the body before the key is looked at: too large and without a key, it is 413', async () => {
  const answer = await send(`${await fastifyOrigin()}/bytes`, { body: 'more than eight' });
  expect(answer).toMatchObject({ status: 413, outcome: 'refused' });
});

test('Fastify itself refuses what does not fit the schema, and a media type that is none, without an outcome', async () => {
  const url = `${await fastifyOrigin()}/schema`;
  const json = { ...key, 'content-type': 'application/json' };
  expect(await send(url, { headers: json, body: '{}' })).toMatchObject({ status: 400, outcome: null });
  expect(await send(url, { headers: { ...key, 'content-type': 'none' }, body: '{}' })).toMatchObject({
    status: 415,
    outcome: null,
  });
  // Nothing was executed: the key is free.
  expect(await send(url, { headers: json, body: '{"amount":1}' })).toMatchObject({ status: 200, outcome: 'executed' });
});

test('@hono/node-server labels bytes without a media type as text, and Hono answers HEAD without a length', async () => {
  const url = `${await honoOrigin()}/bytes`;
  const type = 'text/plain; charset=UTF-8';
  expect(await send(url, { headers: key })).toMatchObject({ status: 200, type, outcome: 'executed' });
  expect(await send(url, { method: 'HEAD' })).toMatchObject({ status: 200, length: null });
});

test('Fastify and Express refuse a parameter that is encoded wrongly; Hono hands it on as it was sent', async () => {
  const ask = (origin: string) => send(`${origin}/named/%zz`, { headers: key });
  expect(await ask(await fastifyOrigin())).toMatchObject({ status: 400, outcome: null });
  expect(await ask(await expressOrigin())).toMatchObject({ status: 400, outcome: null });
  expect(await ask(await honoOrigin())).toMatchObject({ status: 200, outcome: 'executed' });
});
