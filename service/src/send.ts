import type { FastifyReply } from 'fastify';
import {
  isPassing,
  problem,
  problemMediaType,
  type Problem,
  type ProblemFacts,
  type ServiceProblem,
} from './problem.ts';

export function sendProblem(
  reply: FastifyReply,
  name: ServiceProblem,
  detail: string,
  facts?: ProblemFacts,
): FastifyReply {
  return sendProblemDocument(reply, problem(name, detail, facts));
}

export function sendProblemDocument(reply: FastifyReply, document: Problem): FastifyReply {
  if (isPassing(document)) reply.header('retry-after', '1');
  return reply
    .code(document.status)
    .type(problemMediaType)
    .send(bytesOf(JSON.stringify(document)));
}

/** What changes under one URL must be asked for again; the entity tag makes that cheap. */
const cacheControl = 'private, no-cache';

export function sendJson(reply: FastifyReply, json: string): FastifyReply {
  return reply.header('cache-control', cacheControl).type('application/json').send(bytesOf(json));
}

/** To text Fastify would add a charset, which neither media type has (RFC 8259, section 11; RFC 9457, section 6.1). */
function bytesOf(text: string): Buffer {
  return Buffer.from(text);
}
