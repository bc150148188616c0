import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { InvalidArgumentError } from 'semel';
import { turn, until } from '../testing/manual-world.ts';
import { constant, counter, identityOf, OperationsFixture } from '../testing/operations-fixture.harness.ts';

let fixture: OperationsFixture;

beforeEach(async () => {
  fixture = await OperationsFixture.create();
});

afterEach(() => fixture.store.close());

describe('look', () => {
  test('tells an operation in flight, then its outcome; of an unknown one nothing', async () => {
    expect(await fixture.operations.look('acme', 'k')).toBeUndefined();
    const startedAt = fixture.world.now();
    const { finish } = await fixture.inFlight('k');
    await fixture.world.advance(100);
    expect(await fixture.operations.look('acme', 'k')).toEqual({ state: 'in-progress', createdAt: startedAt });
    await finish();
    expect(await fixture.operations.look('acme', 'k')).toMatchObject({ state: 'complete', result: { count: 1 } });
  });
});

describe('cancel', () => {
  test('before the run: the key is burnt, and the run is refused', async () => {
    expect(await fixture.operations.cancel('acme', 'k')).toMatchObject({ state: 'cancelled' });
    const refused = await fixture.operations.run(identityOf('k'), fixture.increment('all'));
    expect(refused).toEqual({ outcome: 'refused', reason: 'cancelled' });
    expect(fixture.executions).toBe(0);
    expect(await fixture.operations.look('acme', 'k')).toMatchObject({ state: 'cancelled' });
  });

  test('after the run: it tells the outcome and changes nothing', async () => {
    await fixture.operations.run(identityOf('k'), fixture.increment('all'));
    expect(await fixture.operations.cancel('acme', 'k')).toMatchObject({ state: 'complete', result: { count: 1 } });
    expect(await fixture.operations.run(identityOf('k'), fixture.increment('all'))).toMatchObject({
      outcome: 'replayed',
    });
  });

  test('during the run: it waits, then tells the outcome', async () => {
    const { finish } = await fixture.inFlight('k');
    const cancelling = fixture.operations.cancel('acme', 'k');
    await turn();
    await finish();
    expect(await cancelling).toMatchObject({ state: 'complete', result: { count: 1 } });
  });

  test('during a run that leaves nothing: either the next in line executes or the key is burnt, never both', async () => {
    const { finish } = await fixture.inFlight('k', 'nothing');
    const cancelling = fixture.operations.cancel('acme', 'k');
    const waiting = fixture.operations.run(identityOf('k'), fixture.increment('all'));
    await until(() => fixture.operations.waiting === 1);
    await finish();
    const [view, outcome] = [await cancelling, await waiting];
    const executed = outcome.outcome === 'executed';
    expect(view.state).toBe(executed ? 'complete' : 'cancelled');
    expect(await fixture.read(counter)).toBe(executed ? 1 : undefined);
  });

  test('during a run that goes on: it says so after its bound, and burns nothing', async () => {
    const { finish } = await fixture.inFlight('k');
    const cancelling = fixture.operations.cancel('acme', 'k');
    await fixture.world.advance(5_000);
    expect(await cancelling).toMatchObject({ state: 'in-progress' });
    expect(await finish()).toMatchObject({ outcome: 'executed' });
  });

  test('with a bound of its own: it waits no longer than that', async () => {
    const { finish } = await fixture.inFlight('k');
    const other = await fixture.elsewhere('elsewhere');
    const cancelling = ['k', 'elsewhere'].map((key) => fixture.operations.cancel('acme', key, { waitMs: 10 }));
    await fixture.world.advance(10);
    for (const view of await Promise.all(cancelling)) expect(view).toMatchObject({ state: 'in-progress' });
    await Promise.all([finish(), other.finish()]);
    const wrong = fixture.operations.cancel('acme', 'k', { waitMs: -1 });
    await expect(wrong).rejects.toThrow(InvalidArgumentError);
  });

  test('whose signal fires, while it waits here or for another process, burns nothing', async () => {
    const { finish } = await fixture.inFlight('k');
    const other = await fixture.elsewhere('elsewhere');
    const stopping = new AbortController();
    const cancelling = ['k', 'elsewhere'].map((key) =>
      fixture.operations.cancel('acme', key, { signal: stopping.signal }),
    );
    const ended = Promise.allSettled(cancelling);
    await turn();
    stopping.abort();
    for (const end of await ended) expect(end).toMatchObject({ status: 'rejected', reason: { code: 'aborted' } });
    expect(await finish()).toMatchObject({ outcome: 'executed' });
    await other.finish();
    expect(await fixture.operations.look('acme', 'elsewhere')).toMatchObject({ state: 'complete' });
  });

  test('during a run elsewhere: it says so after its bound', async () => {
    const other = await fixture.elsewhere('k');
    const cancelling = fixture.operations.cancel('acme', 'k');
    await fixture.world.advance(5_000);
    expect(await cancelling).toEqual({ state: 'in-progress', createdAt: undefined });
    await other.finish();
    expect(await fixture.operations.cancel('acme', 'k')).toMatchObject({ state: 'complete', result: 'elsewhere' });
  });

  test('started together with a run, in either order, settles on one of the two', async () => {
    for (const first of ['run', 'cancel']) {
      for (let round = 0; round < 20; round++) {
        const key = `${first}-${round}`;
        const starts = {
          run: () => fixture.operations.run(identityOf(key), constant(key)),
          cancel: () => fixture.operations.cancel('acme', key),
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
