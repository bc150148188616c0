import type { FastifyRequest } from 'fastify';
import type { Incoming } from './incoming.ts';
import { nodeIncoming } from './node-incoming.ts';

/** What came in by Fastify; `read` hands over the body that was captured before. */
export function fastifyIncoming(
  request: FastifyRequest,
  read: (request: FastifyRequest) => Uint8Array<ArrayBuffer>,
): Incoming {
  const { method, protocol, host, originalUrl, raw } = request;
  return nodeIncoming({
    method,
    target: originalUrl,
    protocol,
    host,
    rawHeaders: raw.rawHeaders,
    readBody: async () => ({ outcome: 'read', bytes: read(request) }),
  });
}
