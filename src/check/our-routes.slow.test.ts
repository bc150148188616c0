import { randomUUID } from 'node:crypto';
import { once as event } from 'node:events';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { check, formatReport } from 'semel/check';
import { openStore } from 'semel/embedded';
import { createOnce } from 'semel/express';
import { expect, onTestFinished, test } from 'vitest';
import { limits, outcomes, shopTarget, usualChecks } from './shops/check-shop.harness.ts';

test('check passes a route of our own in everything that can be asked of it', async () => {
  const store = await openStore();
  const once = createOnce(store, { scope: (request) => request.get('authorization') ?? '' });
  const order = once(async (request, tx) => {
    const { cups } = (await request.json()) as { cups: number };
    await tx.add(['orders'], 1);
    if (cups === 0) return Response.json({ error: 'one cup or more' }, { status: 402 });
    // After the effect, where faults hurt.
    if (request.headers.has('x-fault')) return Response.json({ error: 'out of order' }, { status: 500 });
    return Response.json({ order: randomUUID() }, { status: 201 });
  });
  const app = express();
  app.post('/{*path}', order);
  app.put('/{*path}', order);
  const server = app.listen(0, '127.0.0.1');
  await event(server, 'listening');
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await store.close();
  });
  const target = shopTarget(`http://127.0.0.1:${(server.address() as AddressInfo).port}/orders`);
  const effect = { count: async () => Number((await store.read((tx) => tx.get(['orders']))) ?? 0) };
  const report = await check(target, { effect, limits: { ...limits, patienceMsMax: 30_000 } });
  expect(outcomes(report, 'pass'), formatReport(report)).toEqual(usualChecks);
});
