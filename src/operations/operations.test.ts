import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { InvalidArgumentError, type Key, TransactionClosedError, type Transaction, type Value } from 'semel';
import { openStore, type EmbeddedStore } from 'semel/embedded';
import { claim, complete, fingerprint, retentionPolicy } from 'semel/idempotency';
import {
  createOperations,
  type Execution,
  type Identity,
  type OperationEvent,
  type Operations,
  type OperationsOptions,
  type Outcome,
} from 'semel/operations';
import { ManualWorld, turn, until } from '../testing/manual-world.ts';

let world: ManualWorld;
let store: EmbeddedStore;
let operations: Operations;
let events: OperationEvent[];
/** How often `increment` ran. */
let executions: number;

beforeEach(async () => {
  world = new ManualWorld();
  store = await openStore({ world });
  events = [];
  executions = 0;
  operations = open();
});

afterEach(() => store.close());

const counter = ['counter'];

describe('run keeps', () => {
  test('with `all`: the writes and the record, and replays the result', async () => {
    const first = await operations.run(identityOf('k'), increment('all'));
    expect(first).toMatchObject({ outcome: 'executed', keep: 'all', result: { count: 1 } });
    const again = await operations.run(identityOf('k'), increment('all'));
    expect(again).toMatchObject({ outcome: 'replayed', result: { count: 1 } });
    expect(executions).toBe(1);
    expect(await read(counter)).toBe(1);
    expect(outcomes()).toEqual(['executed', 'replayed']);
  });

  test('with `record`: the record alone; the writes are gone, and a retry gets the refusal', async () => {
    const first = await operations.run(identityOf('k'), increment('record'));
    expect(first).toMatchObject({ outcome: 'executed', keep: 'record', result: { count: 1 } });
    expect(await read(counter)).toBeUndefined();
    expect(await operations.run(identityOf('k'), increment('all'))).toMatchObject({ outcome: 'replayed' });
    expect(executions).toBe(1);
  });

  test('with `record`: what the handler read is validated, so a refusal never rests on what was not so', async () => {
    // The handler refuses for lack of money, while another transaction brings some.
    const seen: Value[] = [];
    const outcome = await operations.run(identityOf('k'), async (tx) => {
      const balance = (await tx.get(['balance'])) ?? 0;
      seen.push(balance);
      if (seen.length === 1) await store.transact((other) => other.set(['balance'], 100));
      tx.set(['attempted'], true);
      return balance === 100 ? { keep: 'all', result: 'paid' } : { keep: 'record', result: 'refused' };
    });
    expect(seen).toEqual([0, 100]);
    expect(outcome).toMatchObject({ outcome: 'executed', keep: 'all', result: 'paid' });
    expect(events).toMatchObject([{ outcome: 'executed', attempts: 2 }]);
  });

  test('with `nothing`: neither, yet the caller gets the result, and a retry executes', async () => {
    const first = await operations.run(identityOf('k'), increment('nothing'));
    expect(first).toEqual({
      outcome: 'executed',
      keep: 'nothing',
      result: { count: 1 },
      completedAt: undefined,
      expiresAt: undefined,
    });
    expect(await entries()).toBe(0);
    expect(await operations.run(identityOf('k'), increment('all'))).toMatchObject({ outcome: 'executed' });
    expect(executions).toBe(2);
    expect(await read(counter)).toBe(1);
  });

  test('with a throw: nothing; the throw passes through, and a retry with any payload executes', async () => {
    const fault = new Error('no such luck');
    const thrown = operations.run(identityOf('k'), async (tx) => {
      tx.set(counter, 1);
      throw fault;
    });
    await expect(thrown).rejects.toBe(fault);
    expect(await entries()).toBe(0);
    expect(events).toMatchObject([{ outcome: 'failed', error: fault, attempts: 1 }]);
    expect(await operations.run(identityOf('k', 'other'), increment('all'))).toMatchObject({ outcome: 'executed' });
  });

  test('nothing of a result that no value can hold', async () => {
    const unfit: unknown = { at: new Date(0) };
    const run = operations.run(identityOf('k'), async (tx) => {
      tx.set(counter, 1);
      return { keep: 'all', result: unfit as Value };
    });
    await expect(run).rejects.toThrow(InvalidArgumentError);
    expect(await entries()).toBe(0);
  });

  test('a result as it was, though its maker changes it later', async () => {
    const body = Uint8Array.of(1, 2, 3);
    await operations.run(identityOf('k'), async () => ({ keep: 'all', result: { body } }));
    body[0] = 9;
    const expected = { outcome: 'replayed', result: { body: Uint8Array.of(1, 2, 3) } };
    expect(await operations.run(identityOf('k'), increment('all'))).toMatchObject(expected);
  });
});

describe('run refuses', () => {
  test('another payload under a key that is complete, and executes nothing', async () => {
    await operations.run(identityOf('k'), increment('all'));
    expect(await operations.run(identityOf('k', 'other'), increment('all'))).toEqual({ outcome: 'mismatch' });
    // The mismatch left the record as it was.
    expect(await operations.run(identityOf('k'), increment('all'))).toMatchObject({ outcome: 'replayed' });
    expect(executions).toBe(1);
  });

  test('an identity out of bounds, before anything else', async () => {
    const wrong = { ...identityOf('k'), scope: '' };
    await expect(operations.run(wrong, increment('all'))).rejects.toThrow(InvalidArgumentError);
    expect(executions).toBe(0);
  });

  test('what comes after the expiry, to the millisecond, and never executes it', async () => {
    operations = open({ retentionMs: 1_000, tombstoneMs: 500 });
    const first = await operations.run(identityOf('k'), increment('all'));
    if (first.outcome !== 'executed' || first.expiresAt === undefined) throw new Error('not kept');
    await world.advance(999);
    expect(await operations.run(identityOf('k'), increment('all'))).toMatchObject({ outcome: 'replayed' });
    await world.advance(1);
    expect(await operations.run(identityOf('k'), increment('all'))).toEqual({
      outcome: 'expired',
      expiredAt: first.expiresAt,
    });
    expect(await operations.run(identityOf('k', 'other'), increment('all'))).toEqual({ outcome: 'mismatch' });
    await world.advance(500);
    expect(await operations.run(identityOf('k'), increment('all'))).toMatchObject({ outcome: 'executed' });
    expect(executions).toBe(2);
  });

  test('not even after the expiry, where the policy says execute', async () => {
    operations = open({ retentionMs: 1_000, onExpired: 'execute' });
    await operations.run(identityOf('k'), increment('all'));
    await world.advance(1_000);
    expect(await operations.run(identityOf('k', 'other'), increment('all'))).toEqual({ outcome: 'mismatch' });
    expect(await operations.run(identityOf('k'), increment('all'))).toMatchObject({ outcome: 'executed' });
    expect(await operations.run(identityOf('k'), increment('all'))).toMatchObject({ outcome: 'replayed' });
    expect(await read(counter)).toBe(2);
  });
});

describe('run counts expiry', () => {
  test('from the outcome, not from the beginning, whatever the wall clock does meanwhile', async () => {
    operations = open({ retentionMs: 1_000 });
    const startedAt = world.now();
    const outcome = await operations.run(identityOf('k'), async () => {
      await world.advance(20_000);
      world.jump(-86_400_000);
      return { keep: 'all', result: null };
    });
    expect(outcome).toMatchObject({ completedAt: startedAt + 20_000, expiresAt: startedAt + 21_000 });
  });
});

describe('run with a duplicate in flight', () => {
  test('executes once for 200 identical requests at once, and gives all the same result', async () => {
    const gate = Promise.withResolvers<void>();
    const runs = Array.from({ length: 200 }, () => operations.run(identityOf('k'), increment('all', gate.promise)));
    await until(() => operations.waiting === 199 && executions === 1);
    expect(operations.inFlight).toBe(1);
    gate.resolve();
    const settled = await Promise.all(runs);
    expect(settled.filter(({ outcome }) => outcome === 'executed')).toHaveLength(1);
    expect(settled.filter(({ outcome }) => outcome === 'replayed')).toHaveLength(199);
    expect(new Set(settled.map((outcome) => JSON.stringify('result' in outcome && outcome.result))).size).toBe(1);
    expect(executions).toBe(1);
    expect(await read(counter)).toBe(1);
    expect(events.filter(({ coalesced }) => coalesced)).toHaveLength(199);
    expect([operations.inFlight, operations.waiting, world.timers]).toEqual([0, 0, 0]);
  });

  test('tells another payload at once', async () => {
    const { finish } = await inFlight('k');
    expect(await operations.run(identityOf('k', 'other'), increment('all'))).toEqual({ outcome: 'mismatch' });
    expect(await finish()).toMatchObject({ outcome: 'executed' });
  });

  test('lets other keys and other scopes pass', async () => {
    const { finish } = await inFlight('k');
    expect(await operations.run(identityOf('other'), constant(1))).toMatchObject({ outcome: 'executed' });
    const neighbour = { ...identityOf('k'), scope: 'neighbour' };
    expect(await operations.run(neighbour, constant(1))).toMatchObject({ outcome: 'executed' });
    await finish();
  });

  test('waits no longer than it may', async () => {
    const { finish } = await inFlight('k');
    const patient = operations.run(identityOf('k'), increment('all'));
    const hasty = operations.run(identityOf('k'), increment('all'), { waitMs: 1_000 });
    await world.advance(1_000);
    expect(await hasty).toEqual({ outcome: 'in-progress', retryAfterMs: 1_000 });
    await world.advance(3_999);
    expect(operations.waiting).toBe(1);
    await world.advance(1);
    expect(await patient).toMatchObject({ outcome: 'in-progress' });
    expect(await finish()).toMatchObject({ outcome: 'executed' });
    expect(executions).toBe(1);
  });

  test('waits not at all where it shall refuse', async () => {
    const { finish } = await inFlight('k');
    const refused = await operations.run(identityOf('k'), increment('all'), { onDuplicate: 'refuse' });
    expect(refused).toMatchObject({ outcome: 'in-progress' });
    await finish();
  });

  test('begins no transaction while it waits, nor for the outcome', async () => {
    const { finish } = await inFlight('k');
    const waiting = operations.run(identityOf('k'), increment('all'));
    await until(() => operations.waiting === 1);
    await finish();
    await waiting;
    expect(events).toMatchObject([
      { outcome: 'executed', coalesced: false, attempts: 1 },
      { outcome: 'replayed', coalesced: true, attempts: 0 },
    ]);
  });

  test('leaves when its signal fires, and never becomes owner then', async () => {
    const { finish } = await inFlight('k', 'nothing');
    const aborting = new AbortController();
    const gone = operations.run(identityOf('k'), increment('all'), { signal: aborting.signal });
    const stays = operations.run(identityOf('k'), increment('all'));
    await until(() => operations.waiting === 2);
    aborting.abort();
    await expect(gone).rejects.toMatchObject({ code: 'aborted' });
    await finish();
    expect(await stays).toMatchObject({ outcome: 'executed', keep: 'all' });
    expect(executions).toBe(2);
  });

  test('is bounded in number', async () => {
    operations = open({ waitersMax: 2 });
    const { finish } = await inFlight('k');
    const waiting = [operations.run(identityOf('k'), constant(1)), operations.run(identityOf('k'), constant(1))];
    await until(() => operations.waiting === 2);
    expect(await operations.run(identityOf('k'), constant(1))).toEqual({
      outcome: 'refused',
      reason: 'too-many-waiters',
    });
    await finish();
    for (const outcome of await Promise.all(waiting)) expect(outcome).toMatchObject({ outcome: 'replayed' });
  });

  test('is shared by all operations of one store', async () => {
    const { finish } = await inFlight('k');
    const otherDoor = open();
    const duplicate = otherDoor.run(identityOf('k'), increment('all'));
    await until(() => otherDoor.waiting === 1);
    await finish();
    expect(await duplicate).toMatchObject({ outcome: 'replayed' });
  });

  test('gives each duplicate bytes of its own', async () => {
    const gate = Promise.withResolvers<void>();
    const execute = async (): Promise<Execution> => {
      await gate.promise;
      return { keep: 'all', result: Uint8Array.of(1, 2, 3) };
    };
    const runs = [1, 2, 3].map(() => operations.run(identityOf('k'), execute));
    await until(() => operations.waiting === 2);
    gate.resolve();
    for (const outcome of await Promise.all(runs)) {
      const bytes = 'result' in outcome ? outcome.result : undefined;
      expect(bytes).toEqual(Uint8Array.of(1, 2, 3));
      if (bytes instanceof Uint8Array) bytes.fill(0);
    }
    expect(await operations.run(identityOf('k'), execute)).toMatchObject({ result: Uint8Array.of(1, 2, 3) });
  });
});

describe('run, when the owner leaves nothing,', () => {
  test('makes exactly one waiter the owner, and the others wait on', async () => {
    const { finish } = await inFlight('k', 'nothing');
    const gate = Promise.withResolvers<void>();
    const waiting = Array.from({ length: 10 }, () => operations.run(identityOf('k'), increment('all', gate.promise)));
    await until(() => operations.waiting === 10);
    expect(await finish()).toMatchObject({ outcome: 'executed', keep: 'nothing' });
    await until(() => executions === 2);
    expect(operations.waiting).toBe(9);
    gate.resolve();
    const settled = await Promise.all(waiting);
    expect(settled.map(({ outcome }) => outcome).sort()).toEqual(['executed', ...Array<string>(9).fill('replayed')]);
    expect(executions).toBe(2);
  });

  test('passes the ownership down the line, in the order of arrival, until something is kept', async () => {
    const { finish } = await inFlight('k', 'nothing');
    const ran: string[] = [];
    const fault = new Error('again nothing');
    const throwing = operations.run(identityOf('k'), async () => {
      ran.push('throwing');
      throw fault;
    });
    const empty = operations.run(identityOf('k'), async () => {
      ran.push('empty');
      return { keep: 'nothing', result: null };
    });
    const keeping = operations.run(identityOf('k'), async () => {
      ran.push('keeping');
      return { keep: 'record', result: 'kept' };
    });
    const last = operations.run(identityOf('k'), increment('all'));
    await until(() => operations.waiting === 4);
    await finish();
    await expect(throwing).rejects.toBe(fault);
    expect(await empty).toMatchObject({ outcome: 'executed', keep: 'nothing' });
    expect(await keeping).toMatchObject({ outcome: 'executed', keep: 'record' });
    expect(await last).toMatchObject({ outcome: 'replayed', result: 'kept' });
    expect(ran).toEqual(['throwing', 'empty', 'keeping']);
  });

  test('keeps each waiter within its own bound', async () => {
    const { finish } = await inFlight('k', 'nothing');
    const gate = Promise.withResolvers<void>();
    const next = operations.run(identityOf('k'), increment('all', gate.promise), { waitMs: 5_000 });
    const other = operations.run(identityOf('k'), increment('all'), { waitMs: 5_000 });
    await until(() => operations.waiting === 2);
    await world.advance(4_000);
    await finish();
    await until(() => executions === 2);
    await world.advance(1_000);
    expect(await other).toMatchObject({ outcome: 'in-progress' });
    gate.resolve();
    expect(await next).toMatchObject({ outcome: 'executed' });
  });
});

describe('run fences an execution at its deadline:', () => {
  test('nothing of it takes effect, its late write fails, and a waiter takes over', async () => {
    const gate = Promise.withResolvers<void>();
    const late = Promise.withResolvers<unknown>();
    const hanging = operations.run(identityOf('k'), async (tx) => {
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
    await world.advance(27_000);
    const waiting = operations.run(identityOf('k'), increment('all'));
    await world.advance(2_999);
    expect(operations.waiting).toBe(1);
    await world.advance(1);
    expect(await hanging).toEqual({ outcome: 'refused', reason: 'deadline' });
    expect(await waiting).toMatchObject({ outcome: 'executed', result: { count: 1 } });
    gate.resolve();
    expect(await late.promise).toBeInstanceOf(TransactionClosedError);
    await turn();
    expect(await read(counter)).toBe(1);
    expect(await operations.run(identityOf('k'), constant(1))).toMatchObject({ result: { count: 1 } });
  });

  test('the deadline may be set for one run', async () => {
    const hanging = operations.run(identityOf('k'), () => new Promise(() => undefined), { deadlineMs: 10 });
    await world.advance(10);
    expect(await hanging).toEqual({ outcome: 'refused', reason: 'deadline' });
  });
});

describe('run re-runs its body', () => {
  test('on a conflict, and only the attempt that commits leaves anything', async () => {
    const outcome = await operations.run(identityOf('k'), async (tx) => {
      executions += 1;
      const count = Number((await tx.get(counter)) ?? 0) + 1;
      if (executions === 1) await store.transact((other) => other.set(counter, 10));
      tx.set(['attempt', executions], true);
      tx.set(counter, count);
      return { keep: 'all', result: count };
    });
    expect(outcome).toMatchObject({ outcome: 'executed', result: 11 });
    expect(await read(['attempt', 1])).toBeUndefined();
    expect(await read(['attempt', 2])).toBe(true);
    expect(events).toMatchObject([{ outcome: 'executed', attempts: 2 }]);
  });
});

describe('run beside another runner of the same store, as another process would be,', () => {
  test('queues behind its lock, and replays what it made', async () => {
    const other = await elsewhere('k');
    const run = operations.run(identityOf('k'), increment('all'));
    await turn();
    other.gate.resolve();
    await other.done;
    expect(await run).toMatchObject({ outcome: 'replayed', result: 'elsewhere' });
    expect(executions).toBe(0);
  });

  test('waits for the lock no longer than for a duplicate here', async () => {
    const other = await elsewhere('k');
    const refused = await operations.run(identityOf('k'), increment('all'), { onDuplicate: 'refuse' });
    expect(refused).toMatchObject({ outcome: 'in-progress' });
    const waited = operations.run(identityOf('k'), increment('all'));
    await world.advance(5_000);
    expect(await waited).toMatchObject({ outcome: 'in-progress' });
    other.gate.resolve();
    await other.done;
    expect(executions).toBe(0);
  });
});

describe('look', () => {
  test('tells an operation in flight, then its outcome; of an unknown one nothing', async () => {
    expect(await operations.look('acme', 'k')).toBeUndefined();
    const startedAt = world.now();
    const { finish } = await inFlight('k');
    await world.advance(100);
    expect(await operations.look('acme', 'k')).toEqual({ state: 'in-progress', createdAt: startedAt });
    await finish();
    expect(await operations.look('acme', 'k')).toMatchObject({ state: 'complete', result: { count: 1 } });
  });
});

describe('cancel', () => {
  test('before the run: the key is burnt, and the run is refused', async () => {
    expect(await operations.cancel('acme', 'k')).toMatchObject({ state: 'cancelled' });
    const refused = await operations.run(identityOf('k'), increment('all'));
    expect(refused).toEqual({ outcome: 'refused', reason: 'cancelled' });
    expect(executions).toBe(0);
    expect(await operations.look('acme', 'k')).toMatchObject({ state: 'cancelled' });
  });

  test('after the run: it tells the outcome and changes nothing', async () => {
    await operations.run(identityOf('k'), increment('all'));
    expect(await operations.cancel('acme', 'k')).toMatchObject({ state: 'complete', result: { count: 1 } });
    expect(await operations.run(identityOf('k'), increment('all'))).toMatchObject({ outcome: 'replayed' });
  });

  test('during the run: it waits, then tells the outcome', async () => {
    const { finish } = await inFlight('k');
    const cancelling = operations.cancel('acme', 'k');
    await turn();
    await finish();
    expect(await cancelling).toMatchObject({ state: 'complete', result: { count: 1 } });
  });

  test('during a run that leaves nothing: either the next in line executes or the key is burnt, never both', async () => {
    const { finish } = await inFlight('k', 'nothing');
    const cancelling = operations.cancel('acme', 'k');
    const waiting = operations.run(identityOf('k'), increment('all'));
    await until(() => operations.waiting === 1);
    await finish();
    const [view, outcome] = [await cancelling, await waiting];
    const executed = outcome.outcome === 'executed';
    expect(view.state).toBe(executed ? 'complete' : 'cancelled');
    expect(await read(counter)).toBe(executed ? 1 : undefined);
  });

  test('during a run that goes on: it says so after its bound, and burns nothing', async () => {
    const { finish } = await inFlight('k');
    const cancelling = operations.cancel('acme', 'k');
    await world.advance(5_000);
    expect(await cancelling).toMatchObject({ state: 'in-progress' });
    expect(await finish()).toMatchObject({ outcome: 'executed' });
  });

  test('during a run elsewhere: it says so after its bound', async () => {
    const other = await elsewhere('k');
    const cancelling = operations.cancel('acme', 'k');
    await world.advance(5_000);
    expect(await cancelling).toEqual({ state: 'in-progress', createdAt: undefined });
    other.gate.resolve();
    await other.done;
    expect(await operations.cancel('acme', 'k')).toMatchObject({ state: 'complete', result: 'elsewhere' });
  });

  test('started together with a run, in either order, settles on one of the two', async () => {
    for (const first of ['run', 'cancel']) {
      for (let round = 0; round < 20; round++) {
        const key = `${first}-${round}`;
        const starts = {
          run: () => operations.run(identityOf(key), constant(key)),
          cancel: () => operations.cancel('acme', key),
        };
        const runFirst = first === 'run' ? starts.run() : undefined;
        for (let turns = 0; turns < round % 4; turns++) await turn();
        const cancelling = starts.cancel();
        const outcome = await (runFirst ?? starts.run());
        const view = await cancelling;
        expect(view.state).toBe(outcome.outcome === 'executed' ? 'complete' : 'cancelled');
      }
    }
  });
});

describe('the event', () => {
  test('comes after the outcome is durable, and an observer that throws changes nothing', async () => {
    const seen: unknown[] = [];
    operations = open({
      onEvent: ({ outcome }) => {
        seen.push(outcome);
        throw new Error('of an observer');
      },
    });
    expect(await operations.run(identityOf('k'), increment('all'))).toMatchObject({ outcome: 'executed' });
    expect(seen).toEqual(['executed']);
  });

  test('tells how long it took and which refusal it was', async () => {
    const hanging = operations.run(identityOf('k'), () => new Promise(() => undefined), { deadlineMs: 10 });
    await world.advance(10);
    await hanging;
    expect(events).toEqual([
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
    expect(() => open({ retentionMs: 1_000, retryHorizonMs: 2_000 })).toThrow(/retentionMs.*retryHorizonMs/);
  });

  test.each([[{ deadlineMs: -1 }], [{ waitMs: Number.NaN }], [{ waitersMax: 1.5 }], [{ retentionMs: 0 }]])(
    '%o',
    (options) => {
      expect(() => open(options)).toThrow(InvalidArgumentError);
    },
  );
});

test('run lets a fault of the store pass through, and frees the key', async () => {
  await store.close();
  await expect(operations.run(identityOf('k'), increment('all'))).rejects.toMatchObject({ code: 'store-closed' });
  expect(operations.inFlight).toBe(0);
});

function open(options: OperationsOptions = {}): Operations {
  return createOperations(store, { world, onEvent: (event) => events.push(event), ...options });
}

function identityOf(key: string, payload = 'same'): Identity {
  const parts = { method: 'POST', path: '/', query: [], mediaType: undefined, body: Buffer.from(payload) };
  return { scope: 'acme', key, fingerprint: fingerprint(parts) };
}

/** A handler that counts in the store and beside it. */
function increment(keep: Execution['keep'], gate?: Promise<void>): (tx: Transaction) => Promise<Execution> {
  return async (tx) => {
    executions += 1;
    const count = Number((await tx.get(counter)) ?? 0) + 1;
    await gate;
    tx.set(counter, count);
    return { keep, result: { count } };
  };
}

function constant(result: Value): () => Promise<Execution> {
  return async () => ({ keep: 'all', result });
}

/** An execution that has begun, and ends when it is told to. */
async function inFlight(key: string, keep: Execution['keep'] = 'all'): Promise<{ finish: () => Promise<Outcome> }> {
  const gate = Promise.withResolvers<void>();
  const run = operations.run(identityOf(key), increment(keep, gate.promise));
  await until(() => executions === 1);
  return {
    finish: () => {
      gate.resolve();
      return run;
    },
  };
}

/** A claim of which the table of this process knows nothing. */
async function elsewhere(key: string): Promise<{ gate: PromiseWithResolvers<void>; done: Promise<void> }> {
  const gate = Promise.withResolvers<void>();
  const claimed = Promise.withResolvers<void>();
  const done = store.transact(async (tx) => {
    const answer = await claim(tx, identityOf(key), { policy: retentionPolicy() });
    claimed.resolve();
    await gate.promise;
    if (answer.state === 'absent') complete(tx, answer.claim, { result: 'elsewhere', elapsedMs: 0 });
  });
  await claimed.promise;
  return { gate, done };
}

function read(key: Key): Promise<Value | undefined> {
  return store.read((tx) => tx.get(key));
}

function entries(): Promise<number> {
  return store.read(async (tx) => {
    let count = 0;
    for await (const _ of tx.scan({})) count += 1;
    return count;
  });
}

function outcomes(): readonly string[] {
  return events.map(({ outcome }) => outcome);
}
