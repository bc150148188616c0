import { LimitExceededError } from './client-error.ts';

/**
 * The whole body, so that it can be sent again; `undefined` where there is none. A Blob, since the fetch of Node.js 22.12 cannot
 * follow a 307 or 308 with an ArrayBuffer: it has given it away by then.
 *
 * @throws LimitExceededError; TypeError, as fetch, for a body that was read before; what the body's stream throws; the
 * signal's reason
 */
export async function readRequestBody(
  request: Request,
  bytesMax: number,
  signal: AbortSignal,
): Promise<Blob | undefined> {
  if (request.body === null) return undefined;
  // Firefox has no `body` on a Request, be there one or not; there it cannot be a stream, so it is in memory already.
  if (!(request.body instanceof ReadableStream)) {
    const whole = await request.arrayBuffer();
    if (whole.byteLength > bytesMax) throw new LimitExceededError('bodyBytesMax', bytesMax, whole.byteLength);
    return whole.byteLength === 0 ? undefined : new Blob([whole]);
  }
  // What is left of it is not what was meant.
  if (request.bodyUsed || request.body.locked) throw new TypeError('the body of the request has been read already');
  const { bytes, found } = await readUpTo(request.body, bytesMax, signal);
  if (bytes === undefined) throw new LimitExceededError('bodyBytesMax', bytesMax, found);
  return new Blob([bytes]);
}

/**
 * Reads a response's body to its end and leaves the response as it was, to be read by the caller. So a connection that breaks
 * in mid-answer is found here, where the request can still be sent again. `undefined`: it has none, or more than
 * `bytesMax` bytes; the caller gets it as it comes.
 *
 * @throws what the body's stream throws; the signal's reason
 */
export async function readAhead(
  response: Response,
  bytesMax: number,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  if (response.body === null || bytesMax === 0) return undefined;
  const copy = response.clone();
  if (copy.body === null) return undefined;
  copies.set(response, copy);
  return (await readUpTo(copy.body, bytesMax, signal)).bytes;
}

/**
 * A copy lives as long as its response. In Node.js 22.12, one that is collected as garbage ends the body of the response that it was
 * made of (nodejs/undici#4414).
 */
const copies = new WeakMap<Response, Response>();

interface Read {
  /** `undefined` when there are more than allowed. */
  readonly bytes: Uint8Array<ArrayBuffer> | undefined;
  readonly found: number;
}

async function readUpTo(stream: ReadableStream<Uint8Array>, bytesMax: number, signal: AbortSignal): Promise<Read> {
  const reader = stream.getReader();
  // A stream that hangs is left by cancelling it, which ends the pending read.
  const leave = (): void => void reader.cancel(signal.reason).catch(() => undefined);
  signal.addEventListener('abort', leave, { once: true });
  try {
    const chunks: Uint8Array[] = [];
    let found = 0;
    for (;;) {
      signal.throwIfAborted();
      const { done, value } = await reader.read();
      signal.throwIfAborted();
      if (done) return { bytes: joined(chunks, found), found };
      found += value.length;
      if (found > bytesMax) {
        leave();
        return { bytes: undefined, found };
      }
      chunks.push(value);
    }
  } finally {
    signal.removeEventListener('abort', leave);
  }
}

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
