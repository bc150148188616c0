import { InvalidArgumentError } from '../kv/errors.ts';

export type ReadStream =
  | { readonly outcome: 'read'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly outcome: 'too-large' };

/** Reads a body to its end, or no further than `bytesMax`; then its source is told to stop. */
export async function readStream(stream: ReadableStream<unknown> | null, bytesMax: number): Promise<ReadStream> {
  if (stream === null) return { outcome: 'read', bytes: new Uint8Array(0) };
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { outcome: 'read', bytes: joinChunks(chunks, length) };
    if (!(value instanceof Uint8Array)) {
      throw new InvalidArgumentError('a chunk of the body', value, 'a Uint8Array');
    }
    length += value.length;
    if (length > bytesMax) {
      // Whether it obeys is its own affair: the answer is the same, and must not wait for it.
      reader.cancel().catch(() => undefined);
      return { outcome: 'too-large' };
    }
    chunks.push(value);
  }
}

export function joinChunks(chunks: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
