import type { IncomingMessage } from 'node:http';
import { finished } from 'node:stream';
import { joinChunks, type ReadStream } from './read-stream.ts';

/** Whether somebody has read of the body, reads it just now, or has it decoded: what was sent can then no longer be known. */
export function isTouched(incoming: IncomingMessage): boolean {
  const { readableDidRead, readableEnded, readableFlowing, readableEncoding } = incoming;
  return readableDidRead || readableEnded || readableFlowing === true || readableEncoding !== null;
}

/**
 * Reads the body of a request of Node's that nobody has touched, or no further than `bytesMax`; the client can then still read
 * its answer.
 */
export function readNodeBody(incoming: IncomingMessage, bytesMax: number): Promise<ReadStream> {
  // One that says so beforehand need not be waited for.
  if (Number(incoming.headers['content-length']) > bytesMax) return Promise.resolve(tooLarge(incoming));
  const chunks: Uint8Array[] = [];
  let length = 0;
  return new Promise((resolve, reject) => {
    const take = (chunk: Uint8Array): void => {
      length += chunk.length;
      chunks.push(chunk);
      if (length <= bytesMax) return;
      stopListening();
      incoming.off('data', take);
      resolve(tooLarge(incoming));
    };
    const stopListening = finished(incoming, (error) => {
      if (error) reject(error);
      else resolve({ outcome: 'read', bytes: joinChunks(chunks, length) });
    });
    incoming.on('data', take);
    // Somebody may have paused it, to wait for something before the route.
    incoming.resume();
  });
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
