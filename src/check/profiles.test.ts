import { getRequestListener } from '@hono/node-server';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { check, countByGet, describeTarget, formatReport, profileNames, type Report } from 'semel/check';
import { openStore } from 'semel/embedded';
import { createOnce } from 'semel/http';
import { describe, expect, onTestFinished, test } from 'vitest';
import { checkShop, limits, outcomes } from './shops/check-shop.harness.ts';
import { wrongShops } from './shops/wrong-shops.harness.ts';
import { latency, Shop, type Choices, type Order, type Result } from './shops/shop.harness.ts';

const only = ['profile-mismatch', 'profile-in-flight', 'profile-missing-key', 'profile-replay-mark'];

/** The checks of a profile, of a shop that is made of Semel. */
async function checkSemel(profile: 'semel' | 'ietf', onDuplicate: 'wait' | 'refuse' | 'accept'): Promise<Report> {
  const store = await openStore();
  const once = createOnce(store, { scope: () => 'all', profile: profile === 'ietf' ? 'ietf' : 'semel' });
  const place = once(
    async (_request, tx) => {
      await latency();
      await tx.add(['orders'], 1);
      return Response.json({ ordered: true }, { status: 201 });
    },
    { onDuplicate, ...(onDuplicate === 'accept' ? { operationUrl: (key) => `/operations/${key}` } : {}) },
  );
  const count = async () => Response.json({ orders: (await store.read((tx) => tx.get(['orders']))) ?? 0 });
  const listener = getRequestListener((request) => (request.method === 'GET' ? count() : place(request)));
  const server = createServer((incoming, outgoing) => void listener(incoming, outgoing));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    server.close();
    await store.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/orders`;
  const effect = countByGet(url, '$.orders');
  return check(describeTarget(url, { body: { cups: 2 } }), { effect, limits, profile, only: checksOf(profile) });
}

function checksOf(profile: string): readonly string[] {
  return profile === 'ietf' ? only.slice(0, 3) : only;
}

describe('a profile', () => {
  test.for([
    ['semel', 'wait'],
    ['semel', 'refuse'],
    ['semel', 'accept'],
    ['ietf', 'refuse'],
  ] as const)('%s passes a route of Semel where duplicates %s', async ([profile, onDuplicate]) => {
    const report = await checkSemel(profile, onDuplicate);
    expect(outcomes(report, 'pass'), formatReport(report)).toEqual(checksOf(profile));
  });

  const correct: readonly (readonly [string, Partial<Choices>])[] = [
    ['ietf', { mismatch: 422, inFlight: 409 }],
    ['stripe', { mismatch: 400, inFlight: 409, missing: 'execute' }],
  ];

  test.for(correct)('%s passes a shop that chose %j', async ([profile, choices]) => {
    const report = await checkShop(new Shop(choices), { profile, only: checksOf(profile) });
    expect(outcomes(report, 'pass'), formatReport(report)).toEqual(checksOf(profile));
  });

  const others: readonly (readonly [string, Partial<Choices>, readonly string[]])[] = [
    ['semel', { mismatch: 409, inFlight: 409 }, only],
    ['ietf', { mismatch: 409, inFlight: 423, missing: 'execute' }, only.slice(0, 3)],
    ['stripe', { mismatch: 422, inFlight: 202, missing: 'refuse' }, only.slice(0, 3)],
  ];

  test.for(others)('%s fails a shop of another contract, that chose %j', async ([profile, choices, failing]) => {
    const report = await checkShop(new Shop(choices), { profile, only: checksOf(profile) });
    expect(outcomes(report, 'fail'), formatReport(report)).toEqual(failing);
  });

  test('stripe fails a shop whose first answers say that they are replays', async () => {
    class MarksAll extends Shop {
      protected override async answer(order: Order, result: Result): Promise<void> {
        return super.answer(order, { ...result, headers: { ...result.headers, 'idempotent-replayed': 'true' } });
      }
    }
    const report = await checkShop(new MarksAll(), { profile: 'stripe', only: ['profile-replay-mark'] });
    expect(report.results).toMatchObject([
      { result: 'fail', seen: expect.stringContaining('the first answer has idempotent-replayed: true') },
    ]);
  });

  test('stripe passes a shop that keeps its faults and fails one that does not; what contradicts that is not asked', async () => {
    const keeping = wrongShops.find(({ foundBy }) => foundBy.includes('fault-gone-succeeds'))?.open() ?? new Shop();
    const options = { profile: 'stripe', only: ['profile-fault-kept'] };
    expect(outcomes(await checkShop(keeping, options), 'pass')).toEqual(options.only);
    expect(outcomes(await checkShop(new Shop(), options), 'fail')).toEqual(options.only);
    await expect(checkShop(keeping, { profile: 'stripe', only: ['fault-gone-succeeds'] })).rejects.toThrow('no check');
  });

  test('does not take a duplicate that waited for one that was answered in flight', async () => {
    const report = await checkShop(new Shop({ inFlight: 'wait' }), { profile: 'ietf', only: ['profile-in-flight'] });
    expect(report.results).toMatchObject([{ result: 'not-tried', why: expect.stringContaining('waits for it') }]);
  });

  test('does not take a server that is busy for one that answers duplicates so', async () => {
    class Busy extends Shop {
      #requests = 0;

      override async handle(order: Order): Promise<void> {
        this.#requests += 1;
        if (this.#requests % 3 !== 0) return super.handle(order);
        return this.answer(order, { status: 429, headers: { 'retry-after': '0' }, body: '' });
      }
    }
    const report = await checkShop(new Busy({ inFlight: 409 }), { profile: 'stripe', only: ['profile-in-flight'] });
    expect(outcomes(report, 'pass'), formatReport(report)).toEqual(['profile-in-flight']);
  });

  test('is one of three, and its checks are there with it alone', async () => {
    expect(profileNames).toEqual(['semel', 'ietf', 'stripe']);
    await expect(checkShop(new Shop(), { profile: 'mine' })).rejects.toThrow('there is no profile mine');
    await expect(checkShop(new Shop(), { only })).rejects.toThrow('there is no check profile-mismatch');
  });
});
