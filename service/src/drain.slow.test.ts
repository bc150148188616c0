import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { serviceLimits } from './service-limits.ts';
import { problemOf, serviceUnderTest } from './service-under-test.ts';

const sentBytes = 20 * 1_048_576;
const chunk = Buffer.alloc(1_048_576, 'x');

function socketTo(url: string): Socket {
  return connect(Number(new URL(url).port), '127.0.0.1');
}

/** Writes everything before it reads anything, as a simple client does; then reads to the end. */
async function writeThenRead(url: string, head: string, pieces: readonly (string | Buffer)[]): Promise<string> {
  const socket = socketTo(url).pause();
  socket.write(`${head}\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n`);
  for (const piece of pieces) {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.write(piece, (error) => (error ? reject(error) : resolve()));
    await promise;
  }
  return text(socket);
}

const wholeBody = ['content-length: ', String(sentBytes), '\r\n\r\n', ...Array.from({ length: 20 }, () => chunk)];
const chunkedBody = [
  'transfer-encoding: chunked\r\n\r\n',
  ...Array.from({ length: 20 }, () => [`${chunk.length.toString(16)}\r\n`, chunk, '\r\n']).flat(),
  '0\r\n\r\n',
];

describe('a body that is too large', () => {
  test.each(['PUT /v1/kv/a', 'POST /v1/transactions'])(
    '%s: a client that writes 20 MiB before it reads gets its 413, with a length and in chunks',
    async (line) => {
      const { url } = await serviceUnderTest();
      for (const pieces of [wholeBody, chunkedBody]) {
        const answer = await writeThenRead(url, `${line} HTTP/1.1\r\nidempotency-key: one`, pieces);
        expect(answer.slice(0, 12)).toBe('HTTP/1.1 413');
        expect(answer).toContain('/problems/body-too-large"');
      }
    },
  );

  test('fetch gets its 413', async () => {
    const { send } = await serviceUnderTest();
    const answer = await send('PUT', '/v1/kv/a', { body: Buffer.alloc(sentBytes, 'x') });
    expect([answer.status, problemOf(answer)]).toEqual([413, 'body-too-large']);
    expect((await send('GET', '/v1/kv/a')).status).toBe(404);
  });

  test('a body of exactly valueBodyBytesMax is read', async () => {
    const { send } = await serviceUnderTest();
    const padded = (bytes: number): string => '1'.padEnd(bytes);
    expect((await send('PUT', '/v1/kv/a', { body: padded(serviceLimits.valueBodyBytesMax) })).status).toBe(201);
    expect((await send('PUT', '/v1/kv/a', { body: padded(serviceLimits.valueBodyBytesMax + 1) })).status).toBe(413);
  });

  test('the connection serves on when the rest of the body has come', async () => {
    const { url } = await serviceUnderTest();
    const socket = socketTo(url);
    socket.write(`PUT /v1/kv/a HTTP/1.1\r\nhost: localhost\r\ncontent-length: ${sentBytes}\r\n\r\n`);
    for (let count = 0; count < 20; count++) socket.write(chunk);
    socket.write('GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n');
    const answers = await text(socket);
    expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 413', 'HTTP/1.1 200']);
  });

  test('a client that never stops sending is cut off, after its answer', async () => {
    const { url } = await serviceUnderTest();
    const socket = socketTo(url);
    let received = '';
    socket.on('data', (data) => (received += data.toString()));
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    socket.on('error', () => undefined).on('close', () => resolve());
    socket.write('PUT /v1/kv/a HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n');
    const writeOn = (): void => {
      while (!socket.destroyed && socket.write(Buffer.concat([Buffer.from('100000\r\n'), chunk, Buffer.from('\r\n')])))
        continue;
      socket.once('drain', writeOn);
    };
    writeOn();
    await closed;
    expect(received).toContain('HTTP/1.1 413');
  });
});

test('an answer that does not need the body, such as a 404, reaches a client that is still sending it', async () => {
  const { url } = await serviceUnderTest();
  expect(await writeThenRead(url, 'POST /nothing HTTP/1.1', wholeBody)).toMatch(/^HTTP\/1\.1 404/);
  expect(await writeThenRead(url, 'POST /v1/operations/a/cancel HTTP/1.1', wholeBody)).toMatch(/^HTTP\/1\.1 200/);
  expect(await writeThenRead(url, 'PATCH /v1/kv/a HTTP/1.1', chunkedBody)).toMatch(/^HTTP\/1\.1 405/);
});
