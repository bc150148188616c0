import type { IncomingMessage } from 'node:http';
import { assert } from '../kv/assert.ts';
import { joinChunks, type ReadStream } from './read-stream.ts';

/** Reads the body of a request of Node's, or no further than `bytesMax`; the client can then still read its answer. */
export async function readNodeBody(incoming: IncomingMessage, bytesMax: number): Promise<ReadStream> {
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
