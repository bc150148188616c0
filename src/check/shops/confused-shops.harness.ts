import { createHash } from 'node:crypto';
import { isForNothing, latency, problem, Shop, type Kept, type Order, type Result } from './shop.harness.ts';
import type { WrongShop } from './wrong-shop.harness.ts';

/** Who asks is not a part of the key. */
class KeysAreShared extends Shop {
  protected override scopeOf(): string {
    return '';
  }
}

/** Who asks is compared, like the payload, where it should have been a part of the key. */
class TenantIsCompared extends KeysAreShared {
  protected override fingerprintOf(order: Order): string {
    return `${order.tenant} ${super.fingerprintOf(order)}`;
  }
}

/** A key of one's own for each tenant, and a cache of answers that forgets whose they are. */
class AnswersAreShared extends Shop {
  readonly #answers = new Map<string, Result>();

  protected override async execute(key: string, order: Order): Promise<Result> {
    const result = await super.execute(key, order);
    const address = `${order.keys.join()} ${this.fingerprintOf(order)}`;
    const cached = this.#answers.get(address);
    if (result.status < 400 && cached === undefined) this.#answers.set(address, result);
    return cached ?? result;
  }
}

/** `createHash('sha256').update(JSON.stringify(request.body))` */
class BodyIsFingerprint extends Shop {
  protected override fingerprintOf({ body }: Order): string {
    return createHash('sha256').update(body).digest('hex');
  }
}

/** `request.path` has no query. */
class QueryIsIgnored extends Shop {
  protected override fingerprintOf({ method, url, body }: Order): string {
    return `${method} ${url.replace(/\?.*/, '')} ${body}`;
  }
}

/** The middleware is mounted where nothing but POST was thought of. */
class MethodIsIgnored extends Shop {
  protected override fingerprintOf({ url, body }: Order): string {
    return `${url} ${body}`;
  }
}

/** A unique index on the key, and a look-up by key and path: the last one who writes has the row. */
class LastOneHasTheRow extends Shop {
  readonly #paths = new Map<string, string>();

  protected override async find(key: string, order: Order): Promise<Kept | undefined> {
    if ((this.#paths.get(key) ?? order.url) !== order.url) this.kept.delete(key);
    this.#paths.set(key, order.url);
    return super.find(key, order);
  }
}

/** Each answer is kept, whatever it says. */
class FaultsAreKept extends Shop {
  protected override conclude(key: string, result: Result): void {
    this.complete(key, result);
  }
}

/** The mail that confirms the order fails, and the order stands. */
class FaultComesAfter extends Shop {
  protected override async act(order: Order): Promise<Result> {
    const result = await super.act({ ...order, fault: undefined });
    return order.fault === undefined ? result : problem(500, 'the mail could not be sent');
  }
}

/** Writes the order, then finds that it makes no sense, and does not take it back. */
class RefusalActs extends Shop {
  protected override async act(order: Order): Promise<Result> {
    if (isForNothing(order) && order.fault === undefined) this.place(order);
    return super.act(order);
  }
}

/** Who throws does not come to where the key is let go. */
class FaultKeepsTheKey extends Shop {
  protected override conclude(key: string, result: Result): void {
    if (result.status < 500) super.conclude(key, result);
  }

  protected override handleDuplicate(_key: string, kept: Kept, order: Order): Promise<void> {
    if (kept.result === undefined) return this.answer(order, problem(409, 'it is in progress'));
    return this.replay(kept.result, order);
  }
}

/** The record of an order that was refused has no answer in it, and is replayed all the same. */
class RefusalIsReplayedAsDone extends Shop {
  protected override async replay(result: Result, order: Order): Promise<void> {
    return super.replay(result.status < 400 ? result : { status: 200, headers: {}, body: '' }, order);
  }
}

/** A row that says "failed" is taken up again by whoever reads it. */
class RetriesRace extends Shop {
  readonly #failed = new Set<string>();

  protected override conclude(key: string, result: Result): void {
    super.conclude(key, result);
    if (result.status >= 500) this.#failed.add(key);
  }

  protected override async find(key: string, order: Order): Promise<Kept | undefined> {
    if (!this.#failed.has(key)) return super.find(key, order);
    // As slow as a database that has just come back.
    for (let rest = 0; rest < 10; rest += 1) await latency();
    this.#failed.delete(key);
    this.claim(key, order);
    return undefined;
  }
}

/** A unique index decides who wins, and nobody catches its error. */
class LoserGetsAFault extends Shop {
  protected override async handleDuplicate(_key: string, kept: Kept, order: Order): Promise<void> {
    if (kept.result !== undefined) return this.replay(kept.result, order);
    return this.answer(order, problem(500, 'duplicate key value violates unique constraint'));
  }
}

const operations = ['mismatch-query', 'mismatch-path', 'mismatch-method', 'other-endpoint'];
const tenants = ['other-tenant-acts', 'other-tenant-learns-nothing'];

/** They mix up what a key belongs to, or what became of what it was sent for. */
export const confusedShops: readonly WrongShop[] = [
  { defect: 'tenants share their keys', open: () => new KeysAreShared(), foundBy: tenants },
  { defect: 'tenants are compared', open: () => new TenantIsCompared(), foundBy: tenants },
  { defect: 'tenants share answers', open: () => new AnswersAreShared(), foundBy: ['other-tenant-acts'] },
  {
    defect: 'the body alone is the fingerprint',
    open: () => new BodyIsFingerprint(),
    // The order to the other endpoint has another body, so that it is refused.
    foundBy: operations.filter((name) => name !== 'other-endpoint'),
  },
  { defect: 'the query is not compared', open: () => new QueryIsIgnored(), foundBy: ['mismatch-query'] },
  { defect: 'the method is not compared', open: () => new MethodIsIgnored(), foundBy: ['mismatch-method'] },
  {
    defect: 'a key is looked up by its path, and unique without it',
    open: () => new LastOneHasTheRow(),
    foundBy: ['mismatch-query', 'mismatch-path', 'other-endpoint'],
  },
  { defect: 'a fault is kept for ever', open: () => new FaultsAreKept(), foundBy: ['fault-gone-succeeds'] },
  {
    defect: 'a fault after the effect is tried again',
    open: () => new FaultComesAfter(),
    foundBy: ['failed-acts-never', 'fault-gone-acts-once'],
  },
  { defect: 'what is refused has acted', open: () => new RefusalActs(), foundBy: ['failed-acts-never'] },
  {
    defect: 'a fault keeps the key',
    open: () => new FaultKeepsTheKey(),
    foundBy: ['failed-retries-agree', 'fault-gone-succeeds'],
  },
  {
    defect: 'a refusal is replayed as if it were done',
    open: () => new RefusalIsReplayedAsDone(),
    foundBy: ['failed-acts-never'],
  },
  {
    defect: 'the loser of a race gets a 500',
    open: () => new LoserGetsAFault(),
    foundBy: ['concurrent-duplicates'],
    perhapsBy: ['client-gone'],
  },
  { defect: 'retries of a fault race', open: () => new RetriesRace(), foundBy: ['fault-gone-acts-once'] },
];
