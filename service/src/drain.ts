import type { IncomingMessage } from 'node:http';
import type { FastifyReply } from 'fastify';
import type { World } from 'semel';
import { serviceLimits } from './service-limits.ts';

/**
 * An answer that the client can still read, although it is still sending the body that was refused.
 *
 * To close a socket while unread bytes lie in it makes the kernel reset the connection, and a reset takes the answer away
 * from a client that is still writing: it sees ECONNRESET instead of a 413. So the connection stays open behind the
 * answer (`keepOpen`, before the headers go out), the rest of the body is read and dropped (`drain`, once the answer is
 * sent), and only then is it closed, where the client asked for that or the service stops. Node.js would drain by itself, but without bound.
 */
export function keepOpen(request: IncomingMessage, reply: FastifyReply, { thenClose }: { thenClose: boolean }): void {
  if (!hasUnreadBody(request)) return;
  if (thenClose || !reply.raw.shouldKeepAlive) closeWhenDrained.add(request);
  reply.raw.shouldKeepAlive = true;
  // Fastify asks for it where it could not read a body, and cuts off the answer with it.
  reply.removeHeader('connection');
}

export function drain(request: IncomingMessage, world: World): void {
  if (!hasUnreadBody(request) || request.destroyed) return;
  const { socket } = request;
  const bytesMax = socket.bytesRead + serviceLimits.drainBytesMax;
  const giveUp = (): void => void socket.destroy();
  const cancel = world.after(serviceLimits.drainMsMax, giveUp);
  request.on('data', () => {
    if (socket.bytesRead > bytesMax) giveUp();
  });
  request.once('end', () => {
    if (closeWhenDrained.has(request)) socket.end();
  });
  request.once('close', cancel);
  request.resume();
}

const closeWhenDrained = new WeakSet<IncomingMessage>();

function hasUnreadBody({ headers, complete }: IncomingMessage): boolean {
  if (complete) return false;
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
