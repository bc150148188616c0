import { expect, test } from 'vitest';
import { readStream } from './read-stream.ts';
import { nobodyWaits, ReaderInterest } from './reader-interest.ts';

function streamOf(...chunks: readonly unknown[]): ReadableStream<unknown> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
}

test('readStream joins chunks of any size, and keeps nothing of what their maker does to them later', async () => {
  const sizes = [0, 1, 4_096, 3, 0, 100_000, 7];
  const chunks = sizes.map((size, index) => new Uint8Array(size).fill(index + 1));
  const expected = Buffer.concat(chunks);
  const read = await readStream(streamOf(...chunks), expected.length);
  for (const chunk of chunks) chunk.fill(0xff);
  expect(read.outcome === 'read' && Buffer.from(read.bytes).equals(expected)).toBe(true);
  expect(await readStream(null, 0)).toEqual({ outcome: 'read', bytes: new Uint8Array(0) });
});

test('readStream takes as many bytes as its bound, and stops at one more', async () => {
  const bytes = new Uint8Array(3);
  expect(await readStream(streamOf(bytes, bytes), 6)).toMatchObject({ outcome: 'read' });
  expect(await readStream(streamOf(bytes, bytes), 5)).toEqual({ outcome: 'too-large' });
});

test('readStream fails and cancels its source when nobody waits any longer, also when nobody has from the start', async () => {
  const cancelled: unknown[] = [];
  const endless = (): ReadableStream<unknown> => new ReadableStream({ cancel: (why) => void cancelled.push(why) });
  const over = new ReaderInterest();
  over.end();
  await expect(readStream(endless(), 1, { interest: over })).rejects.toBe(nobodyWaits);
  const later = new ReaderInterest();
  const reading = readStream(endless(), 1, { interest: later });
  later.end();
  await expect(reading).rejects.toBe(nobodyWaits);
  expect(cancelled).toEqual([nobodyWaits, nobodyWaits]);
});
