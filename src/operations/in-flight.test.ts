import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Execution } from 'semel/operations';
import { turn, until } from '../testing/manual-world.ts';
import { constant, counter, identityOf, OperationsFixture } from '../testing/operations-fixture.harness.ts';

let fixture: OperationsFixture;

beforeEach(async () => {
  fixture = await OperationsFixture.create();
});

afterEach(() => fixture.store.close());

describe('run with a duplicate in flight', () => {
  test('executes once for 200 identical requests at once, and gives all the same result', async () => {
    const gate = Promise.withResolvers<void>();
    const runs = Array.from({ length: 200 }, () =>
      fixture.operations.run(identityOf('k'), fixture.increment('all', gate.promise)),
    );
    await until(() => fixture.operations.waiting === 199 && fixture.executions === 1);
    expect(fixture.operations.inFlight).toBe(1);
    gate.resolve();
    const settled = await Promise.all(runs);
    expect(settled.filter(({ outcome }) => outcome === 'executed')).toHaveLength(1);
    expect(settled.filter(({ outcome }) => outcome === 'replayed')).toHaveLength(199);
    expect(new Set(settled.map((outcome) => JSON.stringify('result' in outcome && outcome.result))).size).toBe(1);
    expect(fixture.executions).toBe(1);
    expect(await fixture.read(counter)).toBe(1);
    expect(fixture.events.filter(({ coalesced }) => coalesced)).toHaveLength(199);
    expect([fixture.operations.inFlight, fixture.operations.waiting, fixture.world.timers]).toEqual([0, 0, 0]);
  });

  test('tells another payload at once', async () => {
    const { finish } = await fixture.inFlight('k');
    expect(await fixture.operations.run(identityOf('k', 'other'), fixture.increment('all'))).toEqual({
      outcome: 'mismatch',
    });
    expect(await finish()).toMatchObject({ outcome: 'executed' });
  });

  test('lets other keys and other scopes pass', async () => {
    const { finish } = await fixture.inFlight('k');
    expect(await fixture.operations.run(identityOf('other'), constant(1))).toMatchObject({ outcome: 'executed' });
    const neighbour = { ...identityOf('k'), scope: 'neighbour' };
    expect(await fixture.operations.run(neighbour, constant(1))).toMatchObject({ outcome: 'executed' });
    await finish();
  });

  test('waits no longer than it may', async () => {
    const { finish } = await fixture.inFlight('k');
    const patient = fixture.operations.run(identityOf('k'), fixture.increment('all'));
    const hasty = fixture.operations.run(identityOf('k'), fixture.increment('all'), { waitMs: 1_000 });
    await fixture.world.advance(1_000);
    expect(await hasty).toEqual({ outcome: 'in-progress', retryAfterMs: 1_000 });
    await fixture.world.advance(3_999);
    expect(fixture.operations.waiting).toBe(1);
    await fixture.world.advance(1);
    expect(await patient).toMatchObject({ outcome: 'in-progress' });
    expect(await finish()).toMatchObject({ outcome: 'executed' });
    expect(fixture.executions).toBe(1);
  });

  test('waits not at all where it shall refuse', async () => {
    const { finish } = await fixture.inFlight('k');
    const refused = await fixture.operations.run(identityOf('k'), fixture.increment('all'), { onDuplicate: 'refuse' });
    expect(refused).toMatchObject({ outcome: 'in-progress' });
    await finish();
  });

  test('begins no transaction while it waits, nor for the outcome', async () => {
    const { finish } = await fixture.inFlight('k');
    const waiting = fixture.operations.run(identityOf('k'), fixture.increment('all'));
    await until(() => fixture.operations.waiting === 1);
    await finish();
    await waiting;
    expect(fixture.events).toMatchObject([
      { outcome: 'executed', coalesced: false, attempts: 1 },
      { outcome: 'replayed', coalesced: true, attempts: 0 },
    ]);
  });

  test('leaves when its signal fires, and never becomes owner then', async () => {
    const { finish } = await fixture.inFlight('k', 'nothing');
    const aborting = new AbortController();
    const gone = fixture.operations.run(identityOf('k'), fixture.increment('all'), { signal: aborting.signal });
    const stays = fixture.operations.run(identityOf('k'), fixture.increment('all'));
    await until(() => fixture.operations.waiting === 2);
    aborting.abort();
    await expect(gone).rejects.toMatchObject({ code: 'aborted' });
    await finish();
    expect(await stays).toMatchObject({ outcome: 'executed', keep: 'all' });
    expect(fixture.executions).toBe(2);
  });

  test('is bounded in number', async () => {
    fixture.operations = fixture.open({ waitersMax: 2 });
    const { finish } = await fixture.inFlight('k');
    const waiting = [
      fixture.operations.run(identityOf('k'), constant(1)),
      fixture.operations.run(identityOf('k'), constant(1)),
    ];
    await until(() => fixture.operations.waiting === 2);
    expect(await fixture.operations.run(identityOf('k'), constant(1))).toEqual({
      outcome: 'refused',
      reason: 'too-many-waiters',
    });
    await finish();
    for (const outcome of await Promise.all(waiting)) expect(outcome).toMatchObject({ outcome: 'replayed' });
  });

  test('is bounded for each operation, so that a crowd at one leaves room at the others', async () => {
    const { finish } = await fixture.inFlight('k');
    const crowd = Array.from({ length: 1_000 }, () => fixture.operations.run(identityOf('k'), constant(1)));
    await until(() => fixture.operations.waiting === 1_000);
    const refused = { outcome: 'refused', reason: 'too-many-waiters' };
    expect(await fixture.operations.run(identityOf('k'), constant(1))).toEqual(refused);
    const gate = Promise.withResolvers<void>();
    const other = fixture.operations.run(identityOf('other'), fixture.increment('all', gate.promise));
    const duplicate = fixture.operations.run(identityOf('other'), constant(1));
    await until(() => fixture.operations.waiting === 1_001);
    await finish();
    gate.resolve();
    await other;
    expect(await duplicate).toMatchObject({ outcome: 'replayed' });
    await Promise.all(crowd);
  });

  test('is shared by all operations of one store', async () => {
    const { finish } = await fixture.inFlight('k');
    const otherDoor = fixture.open();
    const duplicate = otherDoor.run(identityOf('k'), fixture.increment('all'));
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
    const runs = [1, 2, 3].map(() => fixture.operations.run(identityOf('k'), execute));
    await until(() => fixture.operations.waiting === 2);
    gate.resolve();
    for (const outcome of await Promise.all(runs)) {
      const bytes = 'result' in outcome ? outcome.result : undefined;
      expect(bytes).toEqual(Uint8Array.of(1, 2, 3));
      if (bytes instanceof Uint8Array) bytes.fill(0);
    }
    expect(await fixture.operations.run(identityOf('k'), execute)).toMatchObject({ result: Uint8Array.of(1, 2, 3) });
  });
});

describe('run, when the owner leaves nothing,', () => {
  test('makes exactly one waiter the owner, and the others wait on', async () => {
    const { finish } = await fixture.inFlight('k', 'nothing');
    const gate = Promise.withResolvers<void>();
    const waiting = Array.from({ length: 10 }, () =>
      fixture.operations.run(identityOf('k'), fixture.increment('all', gate.promise)),
    );
    await until(() => fixture.operations.waiting === 10);
    expect(await finish()).toMatchObject({ outcome: 'executed', keep: 'nothing' });
    await until(() => fixture.executions === 2);
    expect(fixture.operations.waiting).toBe(9);
    gate.resolve();
    const settled = await Promise.all(waiting);
    expect(settled.map(({ outcome }) => outcome).sort()).toEqual(['executed', ...Array<string>(9).fill('replayed')]);
    expect(fixture.executions).toBe(2);
  });

  test('passes the ownership down the line, in the order of arrival, until something is kept', async () => {
    const { finish } = await fixture.inFlight('k', 'nothing');
    const ran: string[] = [];
    const fault = new Error('again nothing');
    const throwing = fixture.operations.run(identityOf('k'), async () => {
      ran.push('throwing');
      throw fault;
    });
    const empty = fixture.operations.run(identityOf('k'), async () => {
      ran.push('empty');
      return { keep: 'nothing', result: null };
    });
    const keeping = fixture.operations.run(identityOf('k'), async () => {
      ran.push('keeping');
      return { keep: 'record', result: 'kept' };
    });
    const last = fixture.operations.run(identityOf('k'), fixture.increment('all'));
    await until(() => fixture.operations.waiting === 4);
    await finish();
    await expect(throwing).rejects.toBe(fault);
    expect(await empty).toMatchObject({ outcome: 'executed', keep: 'nothing' });
    expect(await keeping).toMatchObject({ outcome: 'executed', keep: 'record' });
    expect(await last).toMatchObject({ outcome: 'replayed', result: 'kept' });
    expect(ran).toEqual(['throwing', 'empty', 'keeping']);
  });

  test('keeps each waiter within its own bound', async () => {
    const { finish } = await fixture.inFlight('k', 'nothing');
    const gate = Promise.withResolvers<void>();
    const next = fixture.operations.run(identityOf('k'), fixture.increment('all', gate.promise), { waitMs: 5_000 });
    const other = fixture.operations.run(identityOf('k'), fixture.increment('all'), { waitMs: 5_000 });
    await until(() => fixture.operations.waiting === 2);
    await fixture.world.advance(4_000);
    await finish();
    await until(() => fixture.executions === 2);
    await fixture.world.advance(1_000);
    expect(await other).toMatchObject({ outcome: 'in-progress' });
    gate.resolve();
    expect(await next).toMatchObject({ outcome: 'executed' });
  });
});

describe('run beside another runner of the same store, as another process would be,', () => {
  test('queues behind its lock, and replays what it made', async () => {
    const other = await fixture.elsewhere('k');
    const run = fixture.operations.run(identityOf('k'), fixture.increment('all'));
    await turn();
    await other.finish();
    expect(await run).toMatchObject({ outcome: 'replayed', result: 'elsewhere' });
    expect(fixture.executions).toBe(0);
  });

  test('waits for the lock no longer than for a duplicate here', async () => {
    const other = await fixture.elsewhere('k');
    const refused = await fixture.operations.run(identityOf('k'), fixture.increment('all'), { onDuplicate: 'refuse' });
    expect(refused).toMatchObject({ outcome: 'in-progress' });
    const waited = fixture.operations.run(identityOf('k'), fixture.increment('all'));
    await fixture.world.advance(5_000);
    expect(await waited).toMatchObject({ outcome: 'in-progress' });
    await other.finish();
    expect(fixture.executions).toBe(0);
  });
});
