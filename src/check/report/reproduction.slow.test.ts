import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { turn } from '../../testing/manual-world.ts';
import { check, countByGet, describeTarget, restartBy } from 'semel/check';
import { expect, onTestFinished, test } from 'vitest';
import { limits, others } from '../shops/check-shop.harness.ts';
import { checkStarted, startShop } from '../shops/dying-shops.harness.ts';
import { curlScript } from './reproduction.ts';
import { serve } from '../shops/shop.harness.ts';
import { wrongShops } from '../shops/wrong-shops.harness.ts';

test.for([
  ['a replay executes', 'sequential-duplicates', { min: 2, max: 4 }],
  ['it checks, then sets', 'concurrent-duplicates', { min: 2, max: 50 }],
  ['the payload is part of the key', 'mismatch-executes-nothing', { min: 2, max: 2 }],
  ['a key is claimed by the head of a request', 'request-cut', { min: 0, max: 0 }],
  ['odd keys are passed over', 'key-forms', { min: 2, max: 2 }],
  ['tenants share their keys', 'other-tenant-acts', { min: 1, max: 1 }],
  ['the body alone is the fingerprint', 'mismatch-path', { min: 1, max: 1 }],
  ['what is refused has acted', 'failed-acts-never', { min: 1, max: 1 }],
  ['a fault after the effect is tried again', 'fault-gone-acts-once', { min: 2, max: 2 }],
] as const)('curlScript shows again that %s', async ([defect, name, effects]) => {
  const wrong = wrongShops.find((shop) => shop.defect === defect);
  const shop = wrong?.open();
  if (shop === undefined) throw new Error(`there is no shop in which ${defect}`);
  const { orders, count } = await serve(shop);
  const request = { ...others, body: { item: `it's "tea" $HOME`, cups: 2 }, headers: { 'X-Shop': 'sesame' } };
  const target = describeTarget(orders, request, { otherTenant: { Authorization: 'sesame' } });
  const { results } = await check(target, { effect: countByGet(count, '$.orders'), limits, only: [name] });
  const [result] = results;
  const script = result?.result === 'fail' ? result.script : '';
  expect(script).toContain('curl');
  expect(script).not.toContain('sesame');
  // An empty variable would be a request of nobody, so the script does not begin without it.
  expect(await runScript(script, {})).toMatchObject({ output: '', errors: expect.stringContaining('HEADER_X_SHOP') });
  const before = shop.orders;
  const { errors } = await runScript(script, {
    HEADER_X_SHOP: 'sesame',
    OTHER_TENANT_HEADER_AUTHORIZATION: 'sesame',
    FAIL_ONCE_HEADER_X_FAULT: 'yes',
  });
  // Where a request is cut off, curl waits in vain, and says so.
  expect(errors.replaceAll(/^curl: \(28\).*\n/gm, '')).toBe('');
  expect(shop.orders - before).toBeGreaterThanOrEqual(effects.min);
  expect(shop.orders - before).toBeLessThanOrEqual(effects.max);
});

test.for([
  ['begins with an @', '@/etc/hostname'],
  ['has the newlines of a file at its end', 'tea\n\n'],
  ['is no text', Buffer.from([0, 0xff, 10])],
  ['is too long for a report', 'tea '.repeat(1_000)],
] as const)('curlScript sends a body that %s byte for byte, and no Content-Type of its own', async ([, body]) => {
  const received: [string | undefined, Buffer][] = [];
  const server = createServer((incoming, outgoing) => {
    void buffer(incoming).then((bytes) => {
      received.push([incoming.headers['content-type'], bytes]);
      outgoing.end();
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void server.close());
  const target = describeTarget(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`, { body });
  const effect = { count: async () => received.length };
  const { results } = await check(target, { effect, limits, only: ['sequential-duplicates'] });
  const script = results[0]?.result === 'fail' ? results[0].script : '';
  const directory = mkdtempSync(join(tmpdir(), 'semel-script-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, 'given-body'), body);
  const before = received.length;
  expect(await runScript(script, {}, directory)).toMatchObject({ errors: '' });
  expect(received.length - before).toBe(4);
  for (const one of received) expect(one).toEqual([undefined, Buffer.from(body)]);
});

test('curlScript sends a head up to the byte at which it was cut off, and closes', async () => {
  const received: string[] = [];
  const server = createTcpServer((socket) => {
    void text(socket.setEncoding('latin1')).then((head) => received.push(head));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const headers = { Accept: '*/*', Authorization: 'sesame' };
  const target = describeTarget(`http://127.0.0.1:${port}/orders?a=b`, { body: 'tea', headers });
  const key = '00000000-0000-4000-8000-000000000000';
  const whole = `POST /orders?a=b HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: */*\r\nAuthorization: sesame\r\nIdempotency-Key: `;
  const bytes = whole.length + key.length + 2 + 'Content-Len'.length;
  const act = { act: 'cut-request', bytes, ofBytes: 1_000, where: 'behind-key' } as const;
  const script = curlScript(target, [{ ...act, sending: { keys: [key], payload: 'given' } }]);
  expect(await runScript(script, { HEADER_AUTHORIZATION: 'sesame' })).toMatchObject({ errors: '' });
  while (received.length === 0) await turn();
  expect(received[0]?.replace(/[0-9a-f-]{36}/, '(key)')).toBe(`${whole}(key)\r\nContent-Len`);
});

test('curlScript shows again that records are lost in a restart', async () => {
  const shop = await startShop('memory-only records');
  const restart = restartBy({ command: shop.command, pid: shop.pidFile });
  const { results } = await checkStarted(shop, { restart, only: ['restart-between'] });
  const [result] = results;
  const orders = async () => ((await (await fetch(shop.count)).json()) as { orders: number }).orders;
  const before = await orders();
  const { errors } = await runScript(result?.result === 'fail' ? result.script : '', {});
  expect(errors).toBe('');
  expect((await orders()) - before).toBe(2);
});

test('curlScript sends what is sent in turn without waiting, waits, and strikes', async () => {
  const target = describeTarget('http://127.0.0.1:9/orders', { body: 'tea' });
  const sending = { keys: ['k'], payload: 'given' } as const;
  const script = curlScript(target, [
    { act: 'send-in-turn', sending, atMs: [0, 20] },
    { act: 'wait', durationMs: 1_500 },
    { act: 'send-and-strike', sending, moment: 7, script: 'kill -9 7\n( npm start\n) >/dev/null 2>&1 &' },
  ]);
  expect(script.split('\n').slice(3)).toEqual([
    'restart() {',
    '  kill -9 7',
    '  ( npm start',
    '  ) >/dev/null 2>&1 &',
    `  until curl -s -o /dev/null 'http://127.0.0.1:9'; do sleep 0.1; done`,
    '}',
    '{ sleep 0; send -H "Idempotency-Key: k" --data-raw "$given"; } &',
    '{ sleep 0.02; send -H "Idempotency-Key: k" --data-raw "$given"; } &',
    'wait # what curl takes to begin is longer than most pauses: try others',
    'sleep 1.5',
    'send -H "Idempotency-Key: k" --data-raw "$given" & sleep 0.007; restart # not at the moment itself: try others',
    '',
  ]);
});

async function runScript(script: string, variables: Readonly<Record<string, string>>, directory = '.') {
  const child = spawn('bash', ['-c', script], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], ...variables },
  });
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  return { output, errors };
}
