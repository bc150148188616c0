import type { IncomingMessage, Server } from 'node:http';
import type { FastifyInstance } from 'fastify';
import { problem, type Problem } from './problem.ts';
import { sendProblemDocument } from './send.ts';

/** For Node.js: leave to `judgeHeads` what it would refuse with a bare status. */
export const headOptions = Object.freeze({ requireHostHeader: false });

/** Refuses, with a problem, heads that Node.js would refuse without one. */
export function judgeHeads(app: FastifyInstance): void {
  app.server.on('checkExpectation', (request, response) => void app.server.emit('request', request, response));
  app.addHook('onRequest', async (request, reply) => {
    const document = problemOfHead(request.raw);
    return document === undefined ? undefined : sendProblemDocument(reply, document);
  });
}

/**
 * A client may close its half of the connection behind its last request, and still wait for the answer (RFC 9112, section
 * 9.6). Node.js cuts it off unless told otherwise, by a property that its documentation passes over.
 */
export function allowHalfOpen(server: Server): void {
  Object.assign(server, { httpAllowHalfOpen: true });
}

function problemOfHead({ headers, rawHeaders, httpVersion }: IncomingMessage): Problem | undefined {
  const hosts = rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host').length;
  // RFC 9112, section 3.2. Two hosts are two opinions of where the request goes.
  if (hosts > 1 || (hosts === 0 && httpVersion === '1.1')) {
    return problem('request-malformed', 'a request of HTTP/1.1 has exactly one Host');
  }
  // RFC 9110, section 10.1.1: there is no other expectation.
  if (headers.expect !== undefined && !/(^|\W)100-continue($|\W)/i.test(headers.expect)) {
    return problem('expectation-failed', 'of Expect only 100-continue is known');
  }
  return undefined;
}
