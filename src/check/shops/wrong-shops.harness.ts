import { confusedShops } from './confused-shops.harness.ts';
import { latency, problem, Shop, type Kept, type Order, type Result } from './shop.harness.ts';
import type { WrongShop } from './wrong-shop.harness.ts';

/** Two customers who order the same are taken for one who retries, once the first has been answered twice. */
class PayloadIsIdentity extends Shop {
  protected override keyOf(keys: readonly string[]): string | undefined {
    // From the second order on: the first one is the checker's baseline.
    return this.orders === 0 ? keys[0] : 'the payload';
  }
}

/** As a middleware that does not end the chain when what it replays has no body. */
class ReplayGoesOn extends Shop {
  protected override async replay(result: Result, order: Order): Promise<void> {
    this.place(order);
    return super.replay(result, order);
  }
}

/** A look-up, then an insertion, and time between them. */
class CheckThenSet extends Shop {
  protected override async find(key: string, order: Order): Promise<Kept | undefined> {
    const kept = this.kept.get(key);
    await latency();
    if (kept === undefined) this.claim(key, order);
    return kept;
  }
}

/** Slow enough that a client can be seen to go away meanwhile, and a duplicate to come, on a busy machine too. */
class SlowShop extends Shop {
  protected override async act(order: Order): Promise<Result> {
    for (let rest = 0; rest < 10; rest += 1) await latency();
    return super.act(order);
  }
}

/** The answer to the loser of a race is kept like any other. */
class LoserIsKept extends SlowShop {
  protected override async handleDuplicate(key: string, kept: Kept, order: Order): Promise<void> {
    if (kept.result !== undefined) return this.replay(kept.result, order);
    const refusal = problem(409, 'it is in progress');
    this.complete(key, refusal);
    return this.answer(order, refusal);
  }

  protected override complete(key: string, result: Result): void {
    if (this.kept.get(key)?.result === undefined) super.complete(key, result);
  }
}

/** Two places refuse a duplicate, and each has its own mind: a look-up, and the constraint that catches what slips through. */
class RefusesInTwoWays extends SlowShop {
  #refusals = 0;

  protected override async handleDuplicate(key: string, kept: Kept, order: Order): Promise<void> {
    if (kept.result !== undefined) return super.handleDuplicate(key, kept, order);
    this.#refusals += 1;
    return this.answer(order, problem(this.#refusals % 2 === 0 ? 409 : 425, 'it is in progress'));
  }
}

/** Whoever waits is woken, and told no more than that it is done. */
class WaitersGetLess extends SlowShop {
  protected override async handleDuplicate(key: string, kept: Kept, order: Order): Promise<void> {
    if (kept.result !== undefined) return super.handleDuplicate(key, kept, order);
    const result = await kept.done.promise;
    return this.replay({ ...result, body: '{}' }, order);
  }
}

/** The result goes through a column of a type that parses it. */
class Reserialised extends Shop {
  protected override replay(result: Result, order: Order): Promise<void> {
    return super.replay({ ...result, body: JSON.stringify(JSON.parse(result.body)) }, order);
  }
}

/** Another payload makes another operation of the same key. */
class PayloadIsPartOfTheKey extends Shop {
  protected override find(key: string, order: Order): Promise<Kept | undefined> {
    return super.find(`${key} ${this.fingerprintOf(order)}`, order);
  }

  protected override async execute(key: string, order: Order): Promise<Result> {
    return super.execute(`${key} ${this.fingerprintOf(order)}`, order);
  }
}

/** Whatever is sent under a used key gets what is kept there. */
class RequestIsIgnored extends Shop {
  protected override fingerprintOf(): string {
    return '';
  }
}

/** A hook that keeps each answer on its way out keeps the refusal too. */
class MismatchIsKept extends Shop {
  protected override async handleMismatch(key: string, kept: Kept, order: Order): Promise<void> {
    this.complete(key, problem(422, 'the key belongs to another request'));
    return super.handleMismatch(key, kept, order);
  }
}

/** Tells who reuses the key what it was used for. */
class MismatchTellsResult extends Shop {
  protected override handleMismatch(_key: string, kept: Kept, order: Order): Promise<void> {
    return this.answer(order, problem(422, `the key was used already: ${kept.body}, ${kept.result?.body}`));
  }
}

/** The result is kept when the answer has been sent; if nobody is there to take it, that is never. */
class KeptWhenSent extends SlowShop {
  protected override async execute(key: string, order: Order): Promise<Result> {
    const result = await this.act(order);
    order.outgoing.on('finish', () => super.conclude(key, result));
    return result;
  }

  protected override async answer(order: Order, result: Result): Promise<void> {
    if (!order.outgoing.destroyed) return super.answer(order, result);
  }
}

/** As `KeptWhenSent`, of an answer that is sent while it is made. */
class KeptWhenStreamed extends KeptWhenSent {
  protected override async answer({ outgoing }: Order, { status, headers, body }: Result): Promise<void> {
    outgoing.writeHead(status, headers);
    outgoing.write(body.slice(0, 1));
    // Longer than a client that goes away when it sees the first byte.
    for (let rest = 0; rest < 10; rest += 1) await latency();
    if (!outgoing.destroyed) outgoing.end(body.slice(1));
  }
}

/** Cleans up after a client that is gone, as if its order were gone too. */
class ReleasedWhenGone extends SlowShop {
  protected override execute(key: string, order: Order): Promise<Result> {
    order.outgoing.on('close', () => {
      if (!order.outgoing.writableFinished) this.kept.delete(key);
    });
    return super.execute(key, order);
  }
}

/** The key is claimed when the head of a request has come, and waits for a body that may never come. */
class ClaimedByHead extends Shop {
  readonly #claimants = new Map<string, readonly string[]>();

  override begin(keys: readonly string[]): void {
    const key = this.keyOf(keys);
    if (key !== undefined && key !== 'refused' && !this.#claimants.has(key)) this.#claimants.set(key, keys);
  }

  override async handle(order: Order): Promise<void> {
    const key = this.keyOf(order.keys) ?? '';
    const claimant = this.#claimants.get(key);
    if (claimant !== undefined && claimant !== order.keys) return this.answer(order, problem(409, 'it is in progress'));
    this.#claimants.delete(key);
    return super.handle(order);
  }
}

/** `String(headers['idempotency-key'])` */
class NoKeyIsAKey extends Shop {
  protected override keyOf(keys: readonly string[]): string | undefined {
    return super.keyOf(keys) ?? 'undefined';
  }
}

/** A column of a fixed length, in a database that cuts off what does not fit. */
class KeysAreCutOff extends Shop {
  protected override keyOf(keys: readonly string[]): string | undefined {
    return super.keyOf(keys)?.slice(0, 200);
  }
}

/** A key that does not look like one is passed over, and with it the protection. */
class OddKeysArePassedOver extends Shop {
  protected override keyOf(keys: readonly string[]): string | undefined {
    const key = super.keyOf(keys);
    return key === 'refused' ? undefined : key;
  }
}

export const wrongShops: readonly WrongShop[] = [
  { defect: 'the payload alone is the identity', open: () => new PayloadIsIdentity(), foundBy: ['fresh-key'] },
  {
    defect: 'a replay executes',
    open: () => new ReplayGoesOn(),
    // Each of these sends a retry of something that is complete, and counts.
    foundBy: [
      'sequential-duplicates',
      'concurrent-duplicates',
      'in-flight-duplicates',
      'mismatch-query',
      'mismatch-path',
      'mismatch-method',
      'other-endpoint',
      'other-tenant-acts',
      'failed-acts-never',
      'fault-gone-acts-once',
      'response-lost',
      'client-gone',
      'key-forms',
      'long-keys',
      'late-duplicate',
    ],
  },
  {
    defect: 'it checks, then sets',
    // Whoever waits for a claim that another replaced would wait for ever.
    open: () => new CheckThenSet({ inFlight: 409 }),
    foundBy: ['concurrent-duplicates'],
    perhapsBy: ['in-flight-duplicates', 'in-flight-consistent', 'fault-gone-acts-once', 'client-gone'],
  },
  {
    defect: 'the refusal of a loser is kept',
    open: () => new LoserIsKept(),
    foundBy: ['concurrent-duplicates'],
    perhapsBy: ['in-flight-duplicates', 'client-gone'],
  },
  {
    defect: 'a duplicate is refused in two ways',
    open: () => new RefusesInTwoWays(),
    foundBy: ['in-flight-consistent'],
  },
  { defect: 'who waits gets less', open: () => new WaitersGetLess(), foundBy: ['in-flight-consistent'] },
  { defect: 'a replay is serialised anew', open: () => new Reserialised(), foundBy: ['replay-equality'] },
  {
    defect: 'the payload is part of the key',
    open: () => new PayloadIsPartOfTheKey(),
    foundBy: ['mismatch-executes-nothing', 'mismatch-refused'],
  },
  {
    defect: 'the request is not compared',
    open: () => new RequestIsIgnored(),
    foundBy: ['mismatch-refused', 'mismatch-query', 'mismatch-path', 'mismatch-method', 'other-endpoint'],
  },
  { defect: 'the refusal of a mismatch is kept', open: () => new MismatchIsKept(), foundBy: ['mismatch-keeps-result'] },
  { defect: 'a refusal tells the result', open: () => new MismatchTellsResult(), foundBy: ['conflict-leaks-nothing'] },
  {
    defect: 'a result is kept when it is sent',
    open: () => new KeptWhenSent({ inFlight: 409 }),
    foundBy: ['client-gone'],
    perhapsBy: ['response-lost'],
  },
  {
    defect: 'a result is kept when its stream is sent',
    open: () => new KeptWhenStreamed({ inFlight: 409 }),
    foundBy: ['response-lost', 'client-gone'],
  },
  { defect: 'a key is released when its client is gone', open: () => new ReleasedWhenGone(), foundBy: ['client-gone'] },
  { defect: 'a key is claimed by the head of a request', open: () => new ClaimedByHead(), foundBy: ['request-cut'] },
  { defect: 'no key is a key', open: () => new NoKeyIsAKey(), foundBy: ['missing-key'] },
  {
    defect: 'keys are cut off',
    open: () => new KeysAreCutOff({ keyCharactersMax: 10_000 }),
    foundBy: ['long-keys'],
  },
  {
    defect: 'odd keys are passed over',
    open: () => new OddKeysArePassedOver({ missing: 'execute' }),
    foundBy: ['key-forms', 'long-keys'],
  },
  ...confusedShops,
];
