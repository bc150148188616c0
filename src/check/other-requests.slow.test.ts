import { check, countByGet, describeTarget, formatReport, type CheckOptions, type Report } from 'semel/check';
import { describe, expect, test } from 'vitest';
import { checkShop, limits, outcomes, shopTarget, type others } from './shops/check-shop.harness.ts';
import { problem, serve, Shop, type Choices, type Order, type Result } from './shops/shop.harness.ts';

const operations = ['mismatch-query', 'mismatch-path', 'mismatch-method', 'other-endpoint'];
const tenants = ['other-tenant-acts', 'other-tenant-learns-nothing'];
const failures = ['failed-acts-never', 'failed-retries-agree', 'fault-gone-acts-once', 'fault-gone-succeeds'];

describe('check of other operations', () => {
  test('tries nothing that it was given no request for, but an unknown query', async () => {
    const { orders, count } = await serve(new Shop());
    const target = describeTarget(orders, { body: { cups: 2 } });
    const only = [...operations, ...tenants, ...failures];
    const report = await check(target, { effect: countByGet(count, '$.orders'), limits, only });
    expect(outcomes(report, 'pass')).toEqual(['mismatch-query']);
    expect(outcomes(report, 'not-tried')).toEqual(only.slice(1));
    expect(whyOf(report, 'mismatch-path')).toBe('give one that acts as "otherPath" in the request file');
    expect(whyOf(report, 'other-tenant-acts')).toContain('--other-tenant');
    expect(whyOf(report, 'fault-gone-succeeds')).toContain('"failOnce"');
  });

  test('takes an unknown query that is replayed for the same request, and a known one not', async () => {
    class QueryIsIgnored extends Shop {
      protected override fingerprintOf(order: Order): string {
        return super.fingerprintOf({ ...order, url: '' });
      }
    }
    const run = async (otherQuery?: string): Promise<Report> => {
      const { orders, count } = await serve(new QueryIsIgnored());
      const target = describeTarget(orders, { body: { cups: 2 }, ...(otherQuery === undefined ? {} : { otherQuery }) });
      return check(target, { effect: countByGet(count, '$.orders'), limits, only: ['mismatch-query'] });
    };
    expect(seenIn(await run())).toContain('acted once: it is taken for the same request');
    expect(seenIn(await run('express=yes'))).toContain('acted once, and the other one got the answer of the first');
  });

  test('says whether another operation is refused or acts by itself', async () => {
    const run = async (choices: Partial<Choices>): Promise<string> =>
      seenIn(await checkShop(new Shop(choices), { only: ['mismatch-path'] }));
    expect(await run({ keysAreOf: 'tenant' })).toMatch(/another path under its key 422, .* acted once: it is refused$/);
    expect(await run({ keysAreOf: 'operation' })).toMatch(/another path under its key 201, .* twice: each by itself$/);
  });

  test('does not judge what the count does not count, save an answer that belongs to another', async () => {
    class Cancels extends Shop {
      override async handle(order: Order): Promise<void> {
        return super.handle(order.url === '/subscriptions' ? { ...order, fault: 'cancel' } : order);
      }
      protected override async act(order: Order): Promise<Result> {
        if (order.fault !== 'cancel') return super.act(order);
        return { status: 200, headers: {}, body: 'cancelled' };
      }
    }
    class CancelsWrongly extends Cancels {
      protected override fingerprintOf(): string {
        return '';
      }
    }
    const report = await checkShop(new Cancels({ keysAreOf: 'operation' }), { only: ['other-endpoint'] });
    expect(whyOf(report, 'other-endpoint')).toContain('acts never by this count');
    const wrong = await checkShop(new CancelsWrongly(), { only: ['other-endpoint'] });
    expect(seenIn(wrong)).toContain('the other one got the answer of the first');
  });

  test('takes no answers for mixed up that are all alike, or hold the key, or the time of day', async () => {
    const known = new Set<string>();
    let minute = 0;
    // It goes on after another operation under a fresh key, and stands still while the first and the other one share a key.
    const minuteOf = ({ keys: [key = ''], method, url }: Order): number => {
      const isAlone = !known.has(key) && (method !== 'POST' || url !== '/orders');
      known.add(key);
      return isAlone ? minute++ : minute;
    };
    class Talks extends Shop {
      readonly #say: (order: Order) => string;
      constructor(say: (order: Order) => string) {
        super({ keysAreOf: 'operation' });
        this.#say = say;
      }
      protected override async act(order: Order): Promise<Result> {
        const result = await super.act(order);
        return result.status < 400 ? { ...result, body: this.#say(order) } : result;
      }
    }
    const says: readonly ((order: Order) => string)[] = [
      () => 'your order is placed',
      ({ keys }) => `your order ${keys.join()} is placed`,
      (order) => `placed in minute ${minuteOf(order)}`,
    ];
    for (const say of says) {
      const only = [...operations, 'other-tenant-acts'];
      const report = await checkShop(new Talks(say), { only });
      expect(outcomes(report, 'pass'), formatReport(report)).toEqual(only);
    }
  });
});

describe('check of another tenant', () => {
  test('adds up what each of them is shown, where no count has both', async () => {
    const { orders, count } = await serve(new Shop());
    const as = (headers: Readonly<Record<string, string>>) => countByGet(count, '$.mine', { headers });
    const options: CheckOptions = { effect: as({ Authorization: 'Bearer ann' }), limits, only: tenants };
    const alone = await check(shopTarget(orders), options);
    expect(whyOf(alone, 'other-tenant-acts')).toContain('a count of all tenants is needed');
    const both = await check(shopTarget(orders), { ...options, otherEffect: as({ Authorization: 'Bearer bob' }) });
    expect(outcomes(both, 'pass'), formatReport(both)).toEqual(tenants);
  });

  test('goes on where the other tenant may not read the count', async () => {
    const { orders, count } = await serve(new Shop());
    const effect = countByGet(count, '$.mine', { headers: { Authorization: 'Bearer ann' } });
    const otherEffect = countByGet(count, '$.nothing');
    const report = await check(shopTarget(orders), { effect, otherEffect, limits, only: tenants });
    expect(whyOf(report, 'other-tenant-acts')).toMatch(/^for the other tenant, \$\.nothing of .* is no count/);
    expect(report.ending).toBe('complete');
  });

  test('is not tried where the other tenant is refused whatever it sends', async () => {
    class Closed extends Shop {
      override async handle(order: Order): Promise<void> {
        return order.tenant === 'Bearer bob' ? this.answer(order, problem(401, 'who?')) : super.handle(order);
      }
    }
    const report = await checkShop(new Closed(), { only: tenants });
    expect(outcomes(report, 'not-tried')).toEqual(tenants);
    expect(whyOf(report, 'other-tenant-learns-nothing')).toContain('was answered 401');
  });
});

describe('check of what failed', () => {
  test('says whether the failure keeps its key', async () => {
    const run = async (choices: Partial<Choices>): Promise<string> =>
      seenIn(await checkShop(new Shop(choices), { only: ['failed-retries-agree'] }));
    const kept =
      'failing-1 was answered 402, its retries 3 times 402, and its key stays with it (the given request: 422)';
    const forgotten =
      'failing-1 was answered 402, its retries 3 times 402, and its key is free again (the given request: 201)';
    const fault =
      'failing-2 was answered 500, its retries 3 times 500, and its key is free again (the given request: 201)';
    expect(await run({ refusal: 'kept' })).toBe(`${kept}; ${fault}`);
    expect(await run({ refusal: 'forgotten' })).toBe(`${forgotten}; ${fault}`);
  });

  test('takes 503 and 409 for failures where the first request is answered so', async () => {
    class Fails extends Shop {
      protected override async act(order: Order): Promise<Result> {
        const result = await super.act(order);
        if (result.status === 402) return problem(409, 'the balance is too low');
        return result.status === 500 ? problem(503, 'the database is gone') : result;
      }
    }
    const report = await checkShop(new Fails(), { only: failures });
    expect(outcomes(report, 'pass'), formatReport(report)).toEqual(failures);
  });

  test('does not judge what did not fail, nor a fault that is the fault of the request', async () => {
    const { orders, count } = await serve(new Shop());
    const run = (failOnce: NonNullable<typeof others.failOnce>, failing: NonNullable<typeof others.failing>) => {
      const target = describeTarget(orders, { body: { cups: 2 }, failOnce, failing });
      return check(target, { effect: countByGet(count, '$.orders'), limits, only: failures });
    };
    const report = await run({ headers: { 'X-None': 'yes' } }, [{ headers: { 'X-None': 'yes' } }]);
    expect(outcomes(report, 'not-tried')).toEqual(failures);
    expect(whyOf(report, 'failed-acts-never')).toBe('what should fail (failing) was answered 201');
  });
});

describe('check', () => {
  test('takes a payload that is refused under any key for no mismatch', async () => {
    const { orders, count } = await serve(new Shop());
    const target = describeTarget(orders, { body: { cups: 2 }, otherBody: { cups: 0 } });
    const only = ['mismatch-executes-nothing', 'mismatch-refused', 'mismatch-keeps-result', 'conflict-leaks-nothing'];
    const report = await check(target, { effect: countByGet(count, '$.orders'), limits, only });
    expect(outcomes(report, 'not-tried')).toEqual(only);
  });

  test('sends again what was turned away because the endpoint is busy, and judges nothing by it', async () => {
    class Limits extends Shop {
      #requests = 0;
      override async handle(order: Order): Promise<void> {
        this.#requests += 1;
        if (this.#requests % 3 === 0) return this.answer(order, problem(429, 'slowly', { 'retry-after': '0' }));
        return super.handle(order);
      }
    }
    const only = ['mismatch-executes-nothing', 'mismatch-refused', 'missing-key', ...operations, ...tenants];
    const report = await checkShop(new Limits(), { only });
    expect(outcomes(report, 'pass'), formatReport(report)).toEqual(expect.arrayContaining(only));
    expect(JSON.stringify(report.results)).not.toContain('429');
  });
});

function seenIn({ results: [result] }: Report): string {
  return result !== undefined && 'seen' in result ? result.seen : '';
}

function whyOf({ results }: Report, name: string): string {
  const result = results.find((one) => one.name === name);
  return result?.result === 'not-tried' ? result.why : '';
}
