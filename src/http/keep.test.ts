import { openStore } from 'semel/embedded';
import { createOnce, type Keep, type StatusClass } from 'semel/http';
import { describe, expect, test } from 'vitest';

const statuses: Readonly<Record<StatusClass, number>> = { '2xx': 201, '3xx': 303, '4xx': 422, '5xx': 502 };
const classes: readonly StatusClass[] = ['2xx', '3xx', '4xx', '5xx'];
const defaults: Readonly<Record<StatusClass, Keep>> = { '2xx': 'all', '3xx': 'all', '4xx': 'record', '5xx': 'nothing' };

const cells = classes.flatMap((statusClass) => [
  { statusClass, policy: 'by default', kept: defaults[statusClass], keep: {} },
  ...(['all', 'record', 'nothing'] as const).map((kept) => ({
    statusClass,
    policy: `told to keep ${kept}`,
    kept,
    keep: { [statusClass]: kept },
  })),
]);

describe('keep', () => {
  test.each(cells)('keep of $statusClass $policy: $kept', async ({ statusClass, kept, keep }) => {
    const store = await openStore();
    const once = createOnce(store, { scope: () => 'one' });
    let executions = 0;
    const handle = once(
      async (_request, tx) => {
        executions += 1;
        await tx.add(['written'], 1);
        return new Response(String(executions), { status: statuses[statusClass] });
      },
      { keep },
    );
    const send = (): Promise<Response> =>
      handle(new Request('http://bank.example/', { method: 'POST', headers: { 'idempotency-key': 'k' } }));

    const first = await send();
    const second = await send();

    expect([first.status, second.status]).toEqual([statuses[statusClass], statuses[statusClass]]);
    const isKept = kept !== 'nothing';
    expect(executions).toBe(isKept ? 1 : 2);
    expect(first.headers.get('idempotency-outcome')).toBe(isKept ? 'executed' : 'refused');
    expect(second.headers.get('idempotency-outcome')).toBe(isKept ? 'replayed' : 'refused');
    expect(first.headers.has('idempotency-expires')).toBe(isKept);
    expect(await second.text()).toBe(isKept ? '1' : '2');
    expect(await store.read((tx) => tx.get(['written']))).toBe(kept === 'all' ? 1 : undefined);
  });

  test.each(classes)('keep of %s decides over the writes of a request without a key, too', async (statusClass) => {
    const store = await openStore();
    const handle = createOnce(store, { scope: () => 'one' })(
      (_request, tx) => {
        tx.set(['written'], true);
        return new Response('x', { status: statuses[statusClass] });
      },
      { key: 'optional' },
    );
    const response = await handle(new Request('http://bank.example/', { method: 'POST' }));
    expect(response.status).toBe(statuses[statusClass]);
    expect(await store.read((tx) => tx.get(['written']))).toBe(defaults[statusClass] === 'all' ? true : undefined);
  });

  test('keep of a refusal rests on reads that still hold: when they change meanwhile, the handler runs again', async () => {
    const store = await openStore();
    let executions = 0;
    const handle = createOnce(store, { scope: () => 'one' })(async (_request, tx) => {
      executions += 1;
      const balance = await tx.get(['balance']);
      if (executions === 1) await store.transact((other) => other.set(['balance'], 5));
      return balance === undefined ? new Response('no funds', { status: 402 }) : new Response('paid');
    });
    const response = await handle(
      new Request('http://bank.example/', { method: 'POST', headers: { 'idempotency-key': 'k' } }),
    );
    expect([response.status, await response.text(), executions]).toEqual([200, 'paid', 2]);
  });
});
