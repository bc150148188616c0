import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { assert } from '../kv/assert.ts';
import { InvalidArgumentError } from '../kv/errors.ts';
import { isTouched, readNodeBody } from './node-body.ts';
import type { ReadStream } from './read-stream.ts';

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
    if (isTouched(request.raw)) {
      throw new InvalidArgumentError(
        'the request body',
        'read by a hook before the protected route',
        'one that nobody has touched',
      );
    }
    const read = await readNodeBody(request.raw, bytesMax);
    if (read.outcome === 'read') bodies.set(request, read.bytes);
    return read;
  } catch (error) {
    const fault = error instanceof Error ? error : new Error('the body could not be read', { cause: error });
    return { outcome: 'failed', error: fault };
  }
}

function isJson({ headers }: FastifyRequest): boolean {
  const [essence = ''] = (headers['content-type'] ?? '').toLowerCase().split(';', 1);
  return essence.trim() === 'application/json' || essence.trim().endsWith('+json');
}
