import { InvalidArgumentError } from '../kv/errors.ts';
import { realWorld, type World } from '../kv/world.ts';
import { nobodyWaits, type ReaderInterest } from './reader-interest.ts';

export type ReadStream =
  | { readonly outcome: 'read'; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly outcome: 'too-large' };

export interface Reading {
  readonly world?: World;
  /** At its end the body's source is told to stop, and the reading fails with `nobodyWaits`. */
  readonly interest?: ReaderInterest;
}

/** Chunks that are there already come without the event loop in between. So many take a few milliseconds; then all others have a turn. */
const chunksAtOnce = 200;

/** Reads a body to its end, or no further than `bytesMax`; then its source is told to stop. */
export async function readStream(
  stream: ReadableStream<unknown> | null,
  bytesMax: number,
  { world = realWorld, interest }: Reading = {},
): Promise<ReadStream> {
  if (stream === null) return { outcome: 'read', bytes: new Uint8Array(0) };
  const gathered = new Gathered();
  const reader = stream.getReader();
  // Whether the source obeys is its own affair: the answer is the same, and must not wait for it.
  const stop = (): void => void reader.cancel(nobodyWaits).catch(() => undefined);
  const forget = interest?.onEnd(stop);
  try {
    for (let chunks = 1; ; chunks++) {
      const { done, value } = await reader.read();
      if (interest?.isOver) throw nobodyWaits;
      if (done) return { outcome: 'read', bytes: gathered.take() };
      if (!(value instanceof Uint8Array)) {
        stop();
        throw new InvalidArgumentError('a chunk of the body', value, 'a Uint8Array');
      }
      if (gathered.length + value.length > bytesMax) {
        stop();
        return { outcome: 'too-large' };
      }
      gathered.add(value);
      if (chunks % chunksAtOnce === 0) await new Promise<void>((resolve) => world.defer(resolve));
    }
  } finally {
    forget?.();
  }
}

/** Bytes that arrive in pieces, in room that doubles: a million small pieces take no more than what is in them. */
class Gathered {
  #bytes = new Uint8Array(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  add(chunk: Uint8Array): void {
    const length = this.#length + chunk.length;
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(length, this.#length * 2));
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(chunk, this.#length);
    this.#length = length;
  }

  take(): Uint8Array<ArrayBuffer> {
    return this.#length === this.#bytes.length ? this.#bytes : this.#bytes.slice(0, this.#length);
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
