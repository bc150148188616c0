import { openStore } from 'semel/embedded';
import { createOnce } from 'semel/http';
import { expect, test } from 'vitest';

test('createOnce works', async () => {
  const store = await openStore();
  const once = createOnce(store, { scope: () => 't' });
  let n = 0;
  const h = once(async (request, tx) => {
    n++;
    tx.set(['n'], n);
    return Response.json({ n, got: await request.json() });
  });
  const send = () =>
    h(
      new Request('http://x/y', {
        method: 'POST',
        headers: { 'idempotency-key': 'k', 'content-type': 'application/json' },
        body: '{"a":1}',
      }),
    );
  for (let i = 0; i < 2; i++) {
    const r = await send();
    console.log(r.status, [...r.headers], await r.text());
  }
  expect(n).toBe(1);
});
