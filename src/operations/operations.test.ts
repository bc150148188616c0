import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  CommitUnknownError,
  DeadlineExceededError,
  InvalidArgumentError,
  TransactionClosedError,
  type Transaction,
  type Value,
} from 'semel';
import type { Execution } from 'semel/operations';
import { turn } from '../testing/manual-world.ts';
import { constant, counter, identityOf, OperationsFixture } from '../testing/operations-fixture.harness.ts';

let fixture: OperationsFixture;

beforeEach(async () => {
  fixture = await OperationsFixture.create();
});

afterEach(() => fixture.store.close());

describe('run keeps', () => {
  test('with `all`: the writes and the record, and replays the result', async () => {
    const first = await fixture.operations.run(identityOf('k'), fixture.increment('all'));
    expect(first).toMatchObject({ outcome: 'executed', keep: 'all', result: { count: 1 } });
    const again = await fixture.operations.run(identityOf('k'), fixture.increment('all'));
    expect(again).toMatchObject({ outcome: 'replayed', result: { count: 1 } });
    expect(fixture.executions).toBe(1);
    expect(await fixture.read(counter)).toBe(1);
    expect(fixture.events.map(({ outcome }) => outcome)).toEqual(['executed', 'replayed']);
  });

  test('with `record`: the record alone; the writes are gone, and a retry gets the refusal', async () => {
    const first = await fixture.operations.run(identityOf('k'), fixture.increment('record'));
    expect(first).toMatchObject({ outcome: 'executed', keep: 'record', result: { count: 1 } });
    expect(await fixture.read(counter)).toBeUndefined();
    expect(await fixture.operations.run(identityOf('k'), fixture.increment('all'))).toMatchObject({
      outcome: 'replayed',
    });
    expect(fixture.executions).toBe(1);
  });

  test('with `record`: what the handler read is validated, so a refusal never rests on what was not so', async () => {
    // The handler refuses for lack of money, while another transaction brings some.
    const seen: Value[] = [];
    const outcome = await fixture.operations.run(identityOf('k'), async (tx) => {
      const balance = (await tx.get(['balance'])) ?? 0;
      seen.push(balance);
      if (seen.length === 1) await fixture.store.transact((other) => other.set(['balance'], 100));
      tx.set(['attempted'], true);
      return balance === 100 ? { keep: 'all', result: 'paid' } : { keep: 'record', result: 'refused' };
    });
    expect(seen).toEqual([0, 100]);
    expect(outcome).toMatchObject({ outcome: 'executed', keep: 'all', result: 'paid' });
    expect(fixture.events).toMatchObject([{ outcome: 'executed', attempts: 2 }]);
  });

  test('with `nothing`: neither, yet the caller gets the result, and a retry executes', async () => {
    const first = await fixture.operations.run(identityOf('k'), fixture.increment('nothing'));
    expect(first).toEqual({
      outcome: 'executed',
      keep: 'nothing',
      result: { count: 1 },
      completedAt: undefined,
      expiresAt: undefined,
    });
    expect(await fixture.entries()).toBe(0);
    expect(await fixture.operations.run(identityOf('k'), fixture.increment('all'))).toMatchObject({
      outcome: 'executed',
    });
    expect(fixture.executions).toBe(2);
    expect(await fixture.read(counter)).toBe(1);
  });

  test('with a throw: nothing; the throw passes through, and a retry with any payload executes', async () => {
    const fault = new Error('no such luck');
    const thrown = fixture.operations.run(identityOf('k'), async (tx) => {
      tx.set(counter, 1);
      throw fault;
    });
    await expect(thrown).rejects.toBe(fault);
    expect(await fixture.entries()).toBe(0);
    expect(fixture.events).toMatchObject([{ outcome: 'failed', error: fault, attempts: 1 }]);
    expect(await fixture.operations.run(identityOf('k', 'other'), fixture.increment('all'))).toMatchObject({
      outcome: 'executed',
    });
  });

  test.each([
    ['deadline-exceeded', new DeadlineExceededError(10)],
    ['commit-unknown', new CommitUnknownError('of another store')],
  ])('nothing of a throw with another store’s %s, which is not taken for an outcome of its own', async (_, fault) => {
    const run = fixture.operations.run(identityOf('k'), async (tx) => {
      tx.set(counter, 1);
      throw fault;
    });
    await expect(run).rejects.toBe(fault);
    expect(await fixture.entries()).toBe(0);
    expect(fixture.events).toMatchObject([{ outcome: 'failed', error: fault }]);
  });

  test('nothing of a result that no value can hold', async () => {
    const unfit: unknown = { at: new Date(0) };
    const run = fixture.operations.run(identityOf('k'), async (tx) => {
      tx.set(counter, 1);
      return { keep: 'all', result: unfit as Value };
    });
    await expect(run).rejects.toThrow(InvalidArgumentError);
    expect(await fixture.entries()).toBe(0);
  });

  test('a result as it was, though its maker changes it later', async () => {
    const body = Uint8Array.of(1, 2, 3);
    await fixture.operations.run(identityOf('k'), async () => ({ keep: 'all', result: { body } }));
    body[0] = 9;
    const expected = { outcome: 'replayed', result: { body: Uint8Array.of(1, 2, 3) } };
    expect(await fixture.operations.run(identityOf('k'), fixture.increment('all'))).toMatchObject(expected);
  });
});

describe('run refuses', () => {
  test('another payload under a key that is complete, and executes nothing', async () => {
    await fixture.operations.run(identityOf('k'), fixture.increment('all'));
    expect(await fixture.operations.run(identityOf('k', 'other'), fixture.increment('all'))).toEqual({
      outcome: 'mismatch',
    });
    // The mismatch left the record as it was.
    expect(await fixture.operations.run(identityOf('k'), fixture.increment('all'))).toMatchObject({
      outcome: 'replayed',
    });
    expect(fixture.executions).toBe(1);
  });

  test('an identity out of bounds, before anything else', async () => {
    const wrong = { ...identityOf('k'), scope: '' };
    await expect(fixture.operations.run(wrong, fixture.increment('all'))).rejects.toThrow(InvalidArgumentError);
    expect(fixture.executions).toBe(0);
  });

  test('what comes after the expiry, to the millisecond, and never executes it', async () => {
    fixture.operations = fixture.open({ retentionMs: 1_000, tombstoneMs: 500 });
    const first = await fixture.operations.run(identityOf('k'), fixture.increment('all'));
    if (first.outcome !== 'executed' || first.expiresAt === undefined) throw new Error('not kept');
    await fixture.world.advance(999);
    expect(await fixture.operations.run(identityOf('k'), fixture.increment('all'))).toMatchObject({
      outcome: 'replayed',
    });
    await fixture.world.advance(1);
    expect(await fixture.operations.run(identityOf('k'), fixture.increment('all'))).toEqual({
      outcome: 'expired',
      expiredAt: first.expiresAt,
    });
    expect(await fixture.operations.run(identityOf('k', 'other'), fixture.increment('all'))).toEqual({
      outcome: 'mismatch',
    });
    await fixture.world.advance(500);
    expect(await fixture.operations.run(identityOf('k'), fixture.increment('all'))).toMatchObject({
      outcome: 'executed',
    });
    expect(fixture.executions).toBe(2);
  });

  test('not even after the expiry, where the policy says execute', async () => {
    fixture.operations = fixture.open({ retentionMs: 1_000, onExpired: 'execute' });
    await fixture.operations.run(identityOf('k'), fixture.increment('all'));
    await fixture.world.advance(1_000);
    expect(await fixture.operations.run(identityOf('k', 'other'), fixture.increment('all'))).toEqual({
      outcome: 'mismatch',
    });
    expect(await fixture.operations.run(identityOf('k'), fixture.increment('all'))).toMatchObject({
      outcome: 'executed',
    });
    expect(await fixture.operations.run(identityOf('k'), fixture.increment('all'))).toMatchObject({
      outcome: 'replayed',
    });
    expect(await fixture.read(counter)).toBe(2);
  });
});

describe('run counts expiry', () => {
  test('from the outcome, not from the beginning, whatever the wall clock does meanwhile', async () => {
    fixture.operations = fixture.open({ retentionMs: 1_000 });
    const startedAt = fixture.world.now();
    const outcome = await fixture.operations.run(identityOf('k'), async () => {
      await fixture.world.advance(20_000);
      fixture.world.jump(-86_400_000);
      return { keep: 'all', result: null };
    });
    expect(outcome).toMatchObject({ completedAt: startedAt + 20_000, expiresAt: startedAt + 21_000 });
  });
});

describe('run counts expiry from the commit', () => {
  test('which may wait long behind a lock: a retry directly after it is a replay', async () => {
    fixture.operations = fixture.open({ retentionMs: 1_000, tombstoneMs: 0 });
    const gate = Promise.withResolvers<void>();
    const holder = fixture.store.transact(async (tx) => {
      await tx.lock(counter);
      await gate.promise;
    });
    await turn();
    const add = async (tx: Transaction): Promise<Execution> => {
      await tx.add(counter, 1);
      return { keep: 'all', result: null };
    };
    const run = fixture.operations.run(identityOf('k'), add);
    await fixture.world.advance(9_000);
    gate.resolve();
    const committedAt = fixture.world.now();
    expect(await run).toMatchObject({ outcome: 'executed', completedAt: committedAt, expiresAt: committedAt + 1_000 });
    await holder;
    expect(await fixture.operations.run(identityOf('k'), add)).toMatchObject({ outcome: 'replayed' });
    expect(await fixture.read(counter)).toBe(1);
  });
});

describe('run fences an execution at its deadline:', () => {
  test('nothing of it takes effect, its late write fails, and a waiter takes over', async () => {
    const gate = Promise.withResolvers<void>();
    const late = Promise.withResolvers<unknown>();
    const hanging = fixture.operations.run(identityOf('k'), async (tx) => {
      tx.set(counter, -1);
      await gate.promise;
      try {
        tx.set(counter, -2);
        late.resolve('the late write passed');
      } catch (error) {
        late.resolve(error);
      }
      return { keep: 'all', result: 'late' };
    });
    await fixture.world.advance(27_000);
    const waiting = fixture.operations.run(identityOf('k'), fixture.increment('all'));
    await fixture.world.advance(2_999);
    expect(fixture.operations.waiting).toBe(1);
    await fixture.world.advance(1);
    expect(await hanging).toEqual({ outcome: 'refused', reason: 'deadline' });
    expect(await waiting).toMatchObject({ outcome: 'executed', result: { count: 1 } });
    gate.resolve();
    expect(await late.promise).toBeInstanceOf(TransactionClosedError);
    await turn();
    expect(await fixture.read(counter)).toBe(1);
    expect(await fixture.operations.run(identityOf('k'), constant(1))).toMatchObject({ result: { count: 1 } });
  });

  test('the deadline may be set for one run', async () => {
    const hanging = fixture.operations.run(identityOf('k'), () => new Promise(() => undefined), { deadlineMs: 10 });
    await fixture.world.advance(10);
    expect(await hanging).toEqual({ outcome: 'refused', reason: 'deadline' });
  });
});

describe('run re-runs its body', () => {
  test('on a conflict, and only the attempt that commits leaves anything', async () => {
    const outcome = await fixture.operations.run(identityOf('k'), async (tx) => {
      fixture.executions += 1;
      const count = Number((await tx.get(counter)) ?? 0) + 1;
      if (fixture.executions === 1) await fixture.store.transact((other) => other.set(counter, 10));
      tx.set(['attempt', fixture.executions], true);
      tx.set(counter, count);
      return { keep: 'all', result: count };
    });
    expect(outcome).toMatchObject({ outcome: 'executed', result: 11 });
    expect(await fixture.read(['attempt', 1])).toBeUndefined();
    expect(await fixture.read(['attempt', 2])).toBe(true);
    expect(fixture.events).toMatchObject([{ outcome: 'executed', attempts: 2 }]);
  });
});

describe('the event', () => {
  test('comes after the outcome is durable, and an observer that throws changes nothing', async () => {
    const seen: unknown[] = [];
    fixture.operations = fixture.open({
      onEvent: ({ outcome }) => {
        seen.push(outcome);
        throw new Error('of an observer');
      },
    });
    expect(await fixture.operations.run(identityOf('k'), fixture.increment('all'))).toMatchObject({
      outcome: 'executed',
    });
    expect(seen).toEqual(['executed']);
  });

  test('of an observer that rejects later changes nothing either', async () => {
    const rejected = Promise.withResolvers<void>();
    const onEvent = (): unknown => rejected.promise;
    fixture.operations = fixture.open({ onEvent });
    const run = fixture.operations.run(identityOf('k'), fixture.increment('all'));
    rejected.reject(new Error('of an observer'));
    expect(await run).toMatchObject({ outcome: 'executed' });
    // An unhandled rejection fails the run of the tests.
    await turn();
  });

  test('tells how long it took and which refusal it was', async () => {
    const hanging = fixture.operations.run(identityOf('k'), () => new Promise(() => undefined), { deadlineMs: 10 });
    await fixture.world.advance(10);
    await hanging;
    expect(fixture.events).toEqual([
      {
        scope: 'acme',
        key: 'k',
        outcome: 'refused',
        reason: 'deadline',
        attempts: 1,
        coalesced: false,
        durationMs: 10,
      },
    ]);
  });
});

describe('createOperations refuses', () => {
  test('a retention below the retry horizon, and names both', () => {
    expect(() => fixture.open({ retentionMs: 1_000, retryHorizonMs: 2_000 })).toThrow(/retentionMs.*retryHorizonMs/);
  });

  test.each([[{ deadlineMs: -1 }], [{ waitMs: Number.NaN }], [{ waitersMax: 1.5 }], [{ retentionMs: 0 }]])(
    '%o',
    (options) => {
      expect(() => fixture.open(options)).toThrow(InvalidArgumentError);
    },
  );
});

test('run lets a fault of the store pass through, and frees the key', async () => {
  await fixture.store.close();
  await expect(fixture.operations.run(identityOf('k'), fixture.increment('all'))).rejects.toMatchObject({
    code: 'store-closed',
  });
  expect(fixture.operations.inFlight).toBe(0);
});
