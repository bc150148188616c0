import { connect } from 'node:net';
import { once } from 'node:events';
import { check, countByWebhook, describeTarget, formatReport, type WebhookOptions } from 'semel/check';
import { describe, expect, onTestFinished, test } from 'vitest';
import { realEnvironment } from '../../client/environment.ts';
import { CallingShop } from '../shops/calling-shop.harness.ts';
import { limits, outcomes } from '../shops/check-shop.harness.ts';
import { serve } from '../shops/shop.harness.ts';

const asking = { environment: realEnvironment, signal: new AbortController().signal };

async function open(options: WebhookOptions = {}) {
  const webhook = await countByWebhook(options);
  onTestFinished(() => webhook.close());
  return webhook;
}

describe('countByWebhook', () => {
  test('counts each request that arrives, whatever it is, and answers 204', async () => {
    const webhook = await open();
    expect(webhook.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
    expect((await fetch(webhook.url)).status).toBe(204);
    expect((await fetch(`${webhook.url}orders?new`, { method: 'POST', body: 'tea' })).status).toBe(204);
    expect(await webhook.count(asking)).toBe(2);
  });

  test('counts deliveries of one id once, and cannot count one without', async () => {
    const webhook = await open({ idHeader: 'Webhook-Id' });
    for (const id of ['a', 'b', 'a']) await fetch(webhook.url, { method: 'POST', headers: { 'webhook-id': id } });
    expect(await webhook.count(asking)).toBe(2);
    expect((await fetch(webhook.url, { method: 'POST' })).status).toBe(204);
    await expect(webhook.count(asking)).rejects.toMatchObject({
      code: 'CANNOT_RUN',
      message: expect.stringContaining('a delivery came without Webhook-Id'),
    });
  });

  test('counts no request that was cut off', async () => {
    const webhook = await open();
    const socket = connect(Number(new URL(webhook.url).port), '127.0.0.1');
    await once(socket, 'connect');
    socket.end('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\ntea');
    socket.resume();
    await once(socket, 'close');
    expect(await webhook.count(asking)).toBe(0);
  });

  test('does not read without end', async () => {
    const webhook = await open();
    const body = new Uint8Array(16 * 2 ** 20 + 1);
    // The sender may see the answer, or that nobody reads on.
    await fetch(webhook.url, { method: 'POST', body }).catch(() => undefined);
    await expect(webhook.count(asking)).rejects.toThrow('a delivery has more than 16777216 bytes');
  });

  test('refuses a port that is taken, and frees its own', async () => {
    const first = await open();
    const port = Number(new URL(first.url).port);
    await expect(countByWebhook({ port })).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    await first.close();
    const second = await open({ port });
    expect(second.url).toBe(first.url);
  });

  test('counts the orders of a shop that may deliver again, by the name of the delivery', async () => {
    const only = ['fresh-key', 'sequential-duplicates', 'concurrent-duplicates'];
    for (const idHeader of ['Webhook-Id', undefined]) {
      const webhook = await open({ idHeader });
      const shop = new CallingShop({ deliveries: 2 });
      shop.webhook = webhook.url;
      const { orders } = await serve(shop);
      const report = await check(describeTarget(orders, { body: { cups: 2 } }), { effect: webhook, limits, only });
      if (idHeader === undefined) expect(report.reason).toContain('raised the count by 2');
      else expect(outcomes(report, 'pass'), formatReport(report)).toEqual(only);
    }
  });
});
