import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { InvalidArgumentError, type Entry, type Key, type Transaction, type Value } from 'semel';
import { openStore, type EmbeddedStore } from 'semel/embedded';
import {
  cancel,
  claim,
  complete,
  defaultRetentionMs,
  fingerprint,
  look,
  reap,
  retentionPolicy,
  type Claim,
  type ClaimAnswer,
  type Identity,
  type RetentionOptions,
} from 'semel/idempotency';
import { ManualWorld } from '../../testing/manual-world.ts';

let world: ManualWorld;
let store: EmbeddedStore;

beforeEach(async () => {
  world = new ManualWorld();
  store = await openStore({ world });
});

afterEach(() => store.close());

const retention: RetentionOptions = { retentionMs: 1_000, tombstoneMs: 500 };

describe('claim', () => {
  test('answers with a claim when the key is absent, and leaves it absent unless the claim is spent', async () => {
    expect(await claimed('k')).toMatchObject({ state: 'absent' });
    expect(await claimed('k')).toMatchObject({ state: 'absent' });
    expect(await allEntries()).toEqual([]);
  });

  test('answers with the outcome when it is complete', async () => {
    const { expiresAt, completedAt } = await executed('k', { id: 7 });
    expect(await claimed('k')).toEqual({
      state: 'complete',
      result: { id: 7 },
      createdAt: completedAt,
      completedAt,
      expiresAt,
    });
  });

  test('keeps scopes apart, and scope from key', async () => {
    await executed('b', 'first', { scope: 'a' });
    expect(await claimed('b', { scope: 'A' })).toMatchObject({ state: 'absent' });
    expect(await claimed('ab', { scope: 'a' })).toMatchObject({ state: 'absent' });
    expect(await claimed('b', { scope: 'a' })).toMatchObject({ state: 'complete' });
    // A scope may hold any character, and still reaches into no other's keys.
    await executed('c', 'second', { scope: 'a\0b' });
    expect(await claimed('c', { scope: 'a' })).toMatchObject({ state: 'absent' });
  });

  test('tells a mismatch from the same payload, and changes nothing by it', async () => {
    await executed('k', 1);
    const before = await allEntries();
    expect(await claimed('k', { payload: 'other' })).toEqual({ state: 'mismatch' });
    expect(await allEntries()).toEqual(before);
  });

  test('takes a record of another fingerprint algorithm for a mismatch, be it complete or expired', async () => {
    await executed('k', 1);
    const sameDigest = identityOf('k');
    const later = { ...sameDigest, fingerprint: { ...sameDigest.fingerprint, algorithm: 2 } };
    const answer = (): Promise<ClaimAnswer> =>
      store.transact((tx) => claim(tx, later, { policy: retentionPolicy({ ...retention, onExpired: 'execute' }) }));
    expect(await answer()).toEqual({ state: 'mismatch' });
    await world.advance(1_000);
    expect(await answer()).toEqual({ state: 'mismatch' });
  });

  test.each([
    ['an empty scope', { scope: '' }],
    ['a scope of 256 bytes', { scope: 'é'.repeat(128) }],
    ['a scope with a lone surrogate', { scope: '\ud800' }],
    ['an empty key', { key: '' }],
    ['a key with a space', { key: 'a b' }],
    ['a key of 256 characters', { key: 'k'.repeat(256) }],
    ['a digest of another length', { fingerprint: { algorithm: 1, digest: new Uint8Array(31) } }],
  ])('refuses %s', async (_, part) => {
    const identity = { ...identityOf('k'), ...part };
    await expect(store.transact((tx) => claim(tx, identity, { policy: retentionPolicy() }))).rejects.toThrow(
      InvalidArgumentError,
    );
  });

  test('takes the longest scope and key', async () => {
    const scope = '\0'.repeat(255);
    await executed('k'.repeat(255), 1, { scope });
    expect(await claimed('k'.repeat(255), { scope })).toMatchObject({ state: 'complete' });
  });
});

describe('complete', () => {
  test('commits with the writes of its transaction, or not at all', async () => {
    const failed = store.transact(async (tx) => {
      tx.set(['effect'], 1);
      spend(tx, await won(tx, 'k'), 'done');
      throw new Error('after the record');
    });
    await expect(failed).rejects.toThrow('after the record');
    expect(await allEntries()).toEqual([]);
  });

  test('demands a claim that claim() gave out, in the transaction that won it, once', async () => {
    const forged = { createdAt: 0 } as Claim;
    await expect(store.transact((tx) => spend(tx, forged, 1))).rejects.toThrow('assertion failed');
    const old = await store.transact((tx) => won(tx, 'k'));
    await expect(store.transact((tx) => spend(tx, old, 1))).rejects.toThrow('assertion failed');
    const twice = store.transact(async (tx) => {
      const mine = await won(tx, 'k');
      spend(tx, mine, 1);
      spend(tx, mine, 2);
    });
    await expect(twice).rejects.toThrow('assertion failed');
    expect(await allEntries()).toEqual([]);
  });

  test('counts expiry from the outcome, by the time that the attempt took and whatever the wall clock did', async () => {
    const view = await store.transact(async (tx) => {
      const mine = await won(tx, 'k');
      world.jump(-3_600_000);
      return complete(tx, mine, { result: 1, elapsedMs: 20_000.2 });
    });
    expect(view.completedAt).toBe(view.createdAt + 20_001);
    expect(view.expiresAt).toBe(view.completedAt + 1_000);
  });

  test('keeps bytes, bigints and nothing at all as they were', async () => {
    const result: Value = {
      status: 204,
      body: new Uint8Array(),
      amount: 2n ** 70n,
      raw: Uint8Array.of(0, 255),
      none: null,
    };
    await executed('k', result);
    expect(await claimed('k')).toMatchObject({ state: 'complete', result });
  });
});

describe('expiry', () => {
  test('is a predicate upon reading, to the millisecond, with or without the reaper', async () => {
    const { expiresAt } = await executed('k', 1);
    await world.advance(999);
    expect(await claimed('k')).toMatchObject({ state: 'complete' });
    await world.advance(1);
    expect(world.now()).toBe(expiresAt);
    expect(await claimed('k')).toEqual({ state: 'expired', expiredAt: expiresAt });
    expect(await claimed('k', { payload: 'other' })).toEqual({ state: 'mismatch' });
    await reapAll();
    expect(await claimed('k')).toEqual({ state: 'expired', expiredAt: expiresAt });
    expect(await claimed('k', { payload: 'other' })).toEqual({ state: 'mismatch' });
    await world.advance(499);
    expect(await claimed('k')).toMatchObject({ state: 'expired' });
    await world.advance(1);
    expect(await claimed('k')).toMatchObject({ state: 'absent' });
    expect(await claimed('k', { payload: 'other' })).toMatchObject({ state: 'absent' });
  });

  test('gives a new claim to the same payload, and to no other, where the policy says execute', async () => {
    await executed('k', 'first');
    await world.advance(1_000);
    const again = { ...retention, onExpired: 'execute' } as const;
    expect(await claimed('k', { payload: 'other' }, again)).toEqual({ state: 'mismatch' });
    await store.transact(async (tx) => {
      const answer = await claim(tx, identityOf('k'), { policy: retentionPolicy(again) });
      if (answer.state === 'absent') spend(tx, answer.claim, 'second');
    });
    expect(await claimed('k')).toMatchObject({ state: 'complete', result: 'second' });
    await onlyOneDueEntry();
  });

  test('leaves no entry behind when a key is used again after its tombstone, reaped or not', async () => {
    await executed('k', 'first');
    await world.advance(1_500);
    await executed('k', 'second');
    await onlyOneDueEntry();
  });

  test('does not come nearer when the policy is shortened later', async () => {
    await executed('k', 1);
    await world.advance(999);
    expect(await claimed('k', {}, { retentionMs: 1, tombstoneMs: 1 })).toMatchObject({ state: 'complete' });
  });
});

describe('cancel', () => {
  test('burns an absent key for every payload, until what a record of now would be forgotten', async () => {
    const view = await cancelled('k');
    expect(view).toEqual({
      state: 'cancelled',
      createdAt: world.now(),
      completedAt: world.now(),
      expiresAt: world.now() + 1_500,
    });
    await world.advance(1_499);
    expect(await claimed('k')).toMatchObject({ state: 'cancelled' });
    expect(await claimed('k', { payload: 'other' })).toMatchObject({ state: 'cancelled' });
    expect(await cancelled('k')).toEqual(view);
    await reapAll();
    expect(await claimed('k')).toMatchObject({ state: 'cancelled' });
    await world.advance(1);
    expect(await claimed('k')).toMatchObject({ state: 'absent' });
  });

  test('changes nothing of what is complete or expired, and tells it', async () => {
    await executed('k', 'done');
    const before = await allEntries();
    expect(await cancelled('k')).toMatchObject({ state: 'complete', result: 'done' });
    await world.advance(1_000);
    expect(await cancelled('k')).toMatchObject({ state: 'expired' });
    expect(await allEntries()).toEqual(before);
  });
});

describe('look', () => {
  test('tells every state, and nothing of what it has not seen or has forgotten', async () => {
    const looked = (key: string): Promise<unknown> => store.read((tx) => look(tx, { scope: 'acme', key }));
    expect(await looked('k')).toBeUndefined();
    const { completedAt, expiresAt } = await executed('k', 'done');
    await cancelled('burnt');
    const times = { createdAt: completedAt, completedAt, expiresAt };
    expect(await looked('k')).toEqual({ state: 'complete', result: 'done', ...times });
    expect(await looked('burnt')).toMatchObject({ state: 'cancelled' });
    await world.advance(1_000);
    expect(await looked('k')).toEqual({ state: 'expired', ...times });
    await reapAll();
    expect(await looked('k')).toEqual({ state: 'expired', ...times });
    await world.advance(500);
    expect(await looked('k')).toBeUndefined();
    expect(await looked('burnt')).toBeUndefined();
  });
});

describe('reap', () => {
  test('removes what is past, the longest due first, and no more than its limit', async () => {
    for (let number = 0; number < 5; number++) {
      await executed(`k${number}`, 'x'.repeat(1_000));
      await world.advance(10);
    }
    await world.advance(1_000 - 10);
    const counts = { expired: 2, erased: 0, skipped: 0 };
    expect(await reapBatch(2)).toEqual({ ...counts, more: true });
    expect(await states()).toEqual(['expired', 'expired', 'complete', 'complete', 'complete']);
    expect(await reapBatch(2)).toEqual({ ...counts, more: true });
    expect(await reapBatch(2)).toEqual({ ...counts, expired: 1, more: false });
    expect(await reapBatch(2)).toEqual({ ...counts, expired: 0, more: false });
    await world.advance(500);
    expect(await reapBatch(100)).toEqual({ expired: 0, erased: 5, skipped: 0, more: false });
    expect(await allEntries()).toEqual([]);
  });

  test('erases at once what is past its tombstone before it was ever reaped', async () => {
    await executed('k', 1);
    await cancelled('burnt');
    await world.advance(10_000);
    expect(await reapBatch(100)).toMatchObject({ expired: 0, erased: 2 });
    expect(await allEntries()).toEqual([]);
  });

  test('touches nothing a millisecond early', async () => {
    await executed('k', 1);
    await world.advance(999);
    const before = await allEntries();
    expect(await reapBatch(100)).toMatchObject({ expired: 0, erased: 0 });
    expect(await allEntries()).toEqual(before);
  });

  test('passes over an operation that executes again just now, and spares its outcome', async () => {
    await executed('k', 'first');
    await executed('other', 'first');
    await world.advance(1_000);
    const policy = retentionPolicy({ ...retention, onExpired: 'execute' });
    await store.transact(async (tx) => {
      const answer = await claim(tx, identityOf('k'), { policy });
      expect(await reapBatch(100)).toMatchObject({ expired: 1, skipped: 1 });
      if (answer.state === 'absent') spend(tx, answer.claim, 'second');
    });
    expect(await reapBatch(100)).toMatchObject({ expired: 0, skipped: 0 });
    expect(await claimed('k')).toMatchObject({ state: 'complete', result: 'second' });
  });
});

describe('retentionPolicy', () => {
  test('keeps for 72 hours and remembers for 30 days unless told otherwise', () => {
    const hourMs = 3_600_000;
    expect(retentionPolicy()).toEqual({ retentionMs: 72 * hourMs, tombstoneMs: 720 * hourMs, onExpired: 'refuse' });
  });

  test('refuses a retention below the retry horizon, and names both', () => {
    expect(() => retentionPolicy({ retentionMs: 999, retryHorizonMs: 1_000 })).toThrow(/retentionMs.*retryHorizonMs/);
    expect(() => retentionPolicy({ retryHorizonMs: defaultRetentionMs + 1 })).toThrow(InvalidArgumentError);
    expect(retentionPolicy({ retentionMs: 1_000, retryHorizonMs: 1_000 })).toMatchObject({ retentionMs: 1_000 });
  });

  test.each([
    [{ retentionMs: 0 }],
    [{ retentionMs: -1 }],
    [{ retentionMs: 1.5 }],
    [{ retentionMs: Infinity }],
    [{ tombstoneMs: -1 }],
    [{ retryHorizonMs: Number.NaN }],
  ])('refuses %o', (options) => {
    expect(() => retentionPolicy(options)).toThrow(InvalidArgumentError);
  });
});

interface Variation {
  readonly scope?: string;
  readonly payload?: string;
}

function identityOf(key: string, { scope = 'acme', payload = 'same' }: Variation = {}): Identity {
  const parts = { method: 'POST', path: '/', query: [], mediaType: undefined, body: Buffer.from(payload) };
  return { scope, key, fingerprint: fingerprint(parts) };
}

/** A claim that is not spent. */
function claimed(key: string, variation: Variation = {}, options: RetentionOptions = retention): Promise<ClaimAnswer> {
  return store.transact((tx) => claim(tx, identityOf(key, variation), { policy: retentionPolicy(options) }));
}

async function won(tx: Transaction, key: string, variation: Variation = {}): Promise<Claim> {
  const answer = await claim(tx, identityOf(key, variation), { policy: retentionPolicy(retention) });
  if (answer.state !== 'absent') throw new Error(`expected a claim, found ${answer.state}`);
  return answer.claim;
}

function spend(tx: Transaction, mine: Claim, result: Value): ReturnType<typeof complete> {
  return complete(tx, mine, { result, elapsedMs: 0 });
}

function executed(key: string, result: Value, variation: Variation = {}): Promise<ReturnType<typeof complete>> {
  return store.transact(async (tx) => spend(tx, await won(tx, key, variation), result));
}

function cancelled(key: string): ReturnType<typeof cancel> {
  return store.transact((tx) => cancel(tx, { scope: 'acme', key }, { policy: retentionPolicy(retention) }));
}

function reapBatch(limit: number): ReturnType<typeof reap> {
  return store.transact((tx) => reap(tx, { limit }));
}

async function reapAll(): Promise<void> {
  while ((await reapBatch(10)).more);
}

function allEntries(prefix: Key = []): Promise<readonly Entry[]> {
  return store.read(async (tx) => {
    const entries: Entry[] = [];
    for await (const entry of tx.scan(prefix.length === 0 ? {} : { prefix })) entries.push(entry);
    return entries;
  });
}

async function states(): Promise<readonly unknown[]> {
  const records = await allEntries(['idempotency', 'record']);
  return records.map(({ value }) => {
    const fields: object = Object(value);
    return 'state' in fields ? fields.state : undefined;
  });
}

async function onlyOneDueEntry(): Promise<void> {
  expect(await allEntries(['idempotency', 'due'])).toHaveLength(1);
  await world.advance(10_000);
  await reapAll();
  expect(await allEntries()).toEqual([]);
}
