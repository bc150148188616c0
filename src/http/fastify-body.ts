import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { assert } from '../kv/assert.ts';
import { InvalidArgumentError } from '../kv/errors.ts';
import { joinChunks, type ReadStream } from './read-stream.ts';

export interface CaptureOptions {
  /** Of the route, for the message of a refusal. */
  readonly url: string;
  readonly bodyBytesMax: number;
  /** Whether `request.body` is to be the parsed document, for a schema to check. Otherwise it is the bytes. */
  readonly parsesJson: boolean;
  readonly onTooLarge: (reply: FastifyReply) => void;
}

const bodies = new WeakMap<FastifyRequest, Uint8Array<ArrayBuffer>>();

/** The bytes as they came, of a request to a route of a scope that captures them. */
export function capturedBody(request: FastifyRequest): Uint8Array<ArrayBuffer> {
  const body = bodies.get(request);
  assert(body !== undefined, 'a protected route has captured its body');
  return body;
}

/**
 * Makes `app`, the scope of one protected route, read each body itself, before any parser: bytes that somebody has decoded or
 * decompressed are no longer what was sent, and two different requests could look the same.
 *
 * Parsers of the scopes around are removed here, so none of theirs stands in the way. A `preParsing` hook does, since it exists to
 * replace the stream: with one in force the route refuses to start.
 *
 * @throws InvalidArgumentError
 */
export function captureBody(app: FastifyInstance, options: CaptureOptions): void {
  if (inheritsPreParsing(app)) throw hiddenBody(options.url);
  app.addHook('onRoute', ({ url, preParsing }) => {
    if (preParsing !== undefined) throw hiddenBody(url);
  });
  app.removeAllContentTypeParsers();
  // Of the form with a callback: it may answer by itself and never go on.
  app.addHook('preParsing', (request, reply, payload, done) => {
    void (async () => {
      const captured = await capture(request, payload, options.bodyBytesMax);
      if (captured.outcome === 'read') done(null, payload);
      else if (captured.outcome === 'too-large') options.onTooLarge(reply);
      else done(captured.error);
    })();
  });
  const { onProtoPoisoning = 'error', onConstructorPoisoning = 'error' } = app.initialConfig;
  const parseJson = app.getDefaultJsonParser(onProtoPoisoning, onConstructorPoisoning);
  app.addContentTypeParser('*', (request, _payload, done) => {
    const body = Buffer.from(capturedBody(request));
    if (options.parsesJson && isJson(request)) void parseJson(request, body.toString(), done);
    else done(null, body);
  });
}

function hiddenBody(url: string): InvalidArgumentError {
  return new InvalidArgumentError(
    `the protected route ${url}`,
    'under a preParsing hook, which may replace the body',
    'a route that sees the raw body; register it outside the scope of that hook (of @fastify/compress: globalDecompression: false)',
  );
}

/**
 * Fastify tells nobody which hooks a scope has inherited, but keeps them behind this symbol. Should a later version not, `capture` still
 * finds out a replaced stream, at the first request instead of at the start.
 */
function inheritsPreParsing(app: FastifyInstance): boolean {
  const symbol = Object.getOwnPropertySymbols(app).find(({ description }) => description === 'fastify.hooks');
  const hooks: unknown = symbol === undefined ? undefined : Reflect.get(app, symbol);
  if (typeof hooks !== 'object' || hooks === null || !('preParsing' in hooks)) return false;
  return Array.isArray(hooks.preParsing) && hooks.preParsing.length > 0;
}

type Captured = ReadStream | { readonly outcome: 'failed'; readonly error: Error };

/** It never rejects: what goes wrong is Fastify's to answer. */
async function capture(request: FastifyRequest, payload: unknown, bytesMax: number): Promise<Captured> {
  try {
    if (payload !== request.raw) {
      throw new InvalidArgumentError('the request body', 'replaced by a preParsing hook', 'the one that was sent');
    }
    const read = await readIncoming(request.raw, bytesMax);
    if (read.outcome === 'read') bodies.set(request, read.bytes);
    return read;
  } catch (error) {
    const fault = error instanceof Error ? error : new Error('the body could not be read', { cause: error });
    return { outcome: 'failed', error: fault };
  }
}

async function readIncoming(incoming: IncomingMessage, bytesMax: number): Promise<ReadStream> {
  // One that says so beforehand need not be waited for.
  if (Number(incoming.headers['content-length']) > bytesMax) return tooLarge(incoming);
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Without `destroyOnReturn` leaving the loop would close the connection, and the answer with it.
  for await (const chunk of incoming.iterator({ destroyOnReturn: false })) {
    assert(chunk instanceof Uint8Array, 'a request without an encoding yields bytes');
    length += chunk.length;
    if (length > bytesMax) return tooLarge(incoming);
    chunks.push(chunk);
  }
  return { outcome: 'read', bytes: joinChunks(chunks, length) };
}

/** What a client may still send after it was refused, before it is cut off. */
const discardedBytesMax = 67_108_864;

/**
 * Takes in the rest and drops it. A connection closed on a client that is still sending is reset, and the client may
 * lose the answer that tells it why (RFC 9112, section 9.6).
 */
function tooLarge(incoming: IncomingMessage): ReadStream {
  let discarded = 0;
  incoming.on('data', (chunk: Uint8Array) => {
    discarded += chunk.length;
    if (discarded > discardedBytesMax) incoming.destroy();
  });
  // Whoever sent it may leave at any time; there is nobody left to tell.
  incoming.on('error', () => undefined);
  return { outcome: 'too-large' };
}

function isJson({ headers }: FastifyRequest): boolean {
  const [essence = ''] = (headers['content-type'] ?? '').toLowerCase().split(';', 1);
  return essence.trim() === 'application/json' || essence.trim().endsWith('+json');
}
