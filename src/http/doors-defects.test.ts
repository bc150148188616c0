import { describe, expect, test } from 'vitest';
import { counting, doors, DoorUnderTest, post } from './doors.harness.ts';

// Twelve defects that were found in released libraries of this kind. Each of these tests is what a user of theirs would have seen.
describe.each(doors)('$name', (door) => {
  const at = new DoorUnderTest(door);

  test('defect 1: a mismatch overwrote the stored success, and the legitimate retry was refused from then on', async () => {
    await at.serve([post(counting((request) => request.json().then(Response.json)))]);
    await at.send();
    expect((await at.send({ body: '{"amount":6}' })).status).toBe(409);
    const retry = await at.send();
    expect([retry.outcome, retry.text]).toEqual(['replayed', '{"amount":5}']);
    expect(await at.count()).toBe(1);
  });

  test('defect 2: the 409 of a duplicate in flight was stored, and replayed as the result', async () => {
    const reached = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const handler = counting(async () => {
      reached.resolve();
      await gate.promise;
      return new Response('done');
    });
    await at.serve([post(handler, { onDuplicate: 'refuse' })]);
    const owner = at.send();
    await reached.promise;
    for (let times = 0; times < 2; times++) {
      const { status, headers, outcome } = await at.send();
      expect([status, outcome, headers.get('idempotent-replayed')]).toEqual([409, 'in-progress', null]);
    }
    gate.resolve();
    expect((await owner).text).toBe('done');
    const retry = await at.send();
    expect([retry.status, retry.outcome, retry.text]).toEqual([200, 'replayed', 'done']);
  });

  test('defect 3: the handler ran again at each retry of an empty answer', async () => {
    await at.serve([post(counting(() => new Response(null, { status: 204 })))]);
    for (const expected of ['executed', 'replayed', 'replayed']) {
      const { status, outcome, bytes } = await at.send();
      expect([status, outcome, bytes.length]).toEqual([204, expected, 0]);
    }
    expect(await at.count()).toBe(1);
  });

  test('defect 4: an answer that was streamed never completed, and the key stayed in progress', async () => {
    const pieces = ['one ', 'two ', 'three'].map((piece) => new TextEncoder().encode(piece));
    await at.serve([post(counting(() => new Response(ReadableStream.from(pieces))))]);
    for (const expected of ['executed', 'replayed']) {
      const { status, outcome, text } = await at.send();
      expect([status, outcome, text]).toEqual([200, expected, 'one two three']);
    }
    expect(await at.count()).toBe(1);
  });

  test('defect 5: 11 of 20 duplicates at a time executed, and a replay ran the handler once more', async () => {
    let runs = 0;
    await at.serve([post(counting(() => new Response(`run ${++runs}`)))]);
    const answers = await Promise.all(Array.from({ length: 200 }, () => at.send()));
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`))).toEqual(new Set(['200 run 1']));
    expect(answers.filter(({ outcome }) => outcome === 'executed')).toHaveLength(1);
    expect(answers.filter(({ headers }) => headers.get('idempotent-replayed') === 'true')).toHaveLength(199);
    expect((await at.send()).text).toBe('run 1');
    expect([runs, await at.count()]).toEqual([1, 1]);
  });

  test("defect 5: the request's Authorization was stored", async () => {
    await at.serve([post(() => new Response('a'))]);
    expect((await at.send({ headers: { authorization: 'Bearer hunter2' } })).outcome).toBe('executed');
    const kept = await at.store.read(async (tx) => JSON.stringify(await Array.fromAsync(tx.scan({}))));
    expect(kept).not.toContain('hunter2');
  });

  test('defect 6: the client left, the effect was there, and every retry got 409', async () => {
    const reached = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const handler = counting(async () => {
      reached.resolve();
      await gate.promise;
      return new Response('done');
    });
    await at.serve([post(handler)]);
    const closed = Promise.withResolvers<void>();
    at.server.once('connection', (socket) => socket.once('close', closed.resolve));
    const client = new AbortController();
    const left = at.send({ signal: client.signal });
    await reached.promise;
    client.abort();
    await expect(left).rejects.toThrow(/abort/);
    await closed.promise;
    gate.resolve();
    const retry = await at.send();
    expect([retry.status, retry.outcome, retry.text]).toEqual([200, 'replayed', 'done']);
    expect(await at.count()).toBe(1);
  });

  test('defect 7: the same key of another tenant, or at another route, got the answer of the first', async () => {
    const answer = (text: string) => counting((request) => new Response(`${text} of ${request.headers.get('tenant')}`));
    await at.serve([post(answer('order')), { ...post(answer('refund')), path: '/refunds' }]);
    expect((await at.send({ headers: { tenant: 'ann' } })).text).toBe('order of ann');
    expect((await at.send({ headers: { tenant: 'bob' } })).text).toBe('order of bob');
    const elsewhere = await at.send({ headers: { tenant: 'ann' }, path: '/refunds' });
    expect([elsewhere.outcome, elsewhere.text.includes('order')]).toEqual(['mismatch', false]);
    expect(await at.count()).toBe(2);
  });

  test('defect 8: two equal orders under two keys, or two empty ones at two routes, were taken for one', async () => {
    const order = counting(() => new Response('ordered'));
    await at.serve([post(order), { ...post(order), path: '/other' }]);
    const sent = [
      { key: 'monday' },
      { key: 'tuesday' },
      { key: 'wednesday', body: '' },
      { key: 'thursday', body: '', path: '/other' },
    ];
    for (const request of sent) expect((await at.send(request)).outcome).toBe('executed');
    expect(await at.count()).toBe(4);
  });

  test('defect 9: bytes were replayed as {"type":"Buffer"}, and a stream as nothing', async () => {
    const everyByte = Uint8Array.from({ length: 256 }, (_nothing, byte) => byte);
    const headers = { 'content-type': 'image/png' };
    await at.serve([
      post(() => new Response(everyByte, { headers })),
      { ...post(() => new Response(ReadableStream.from([everyByte, everyByte]), { headers })), path: '/stream' },
    ]);
    for (const expected of ['executed', 'replayed']) {
      const whole = await at.send();
      expect([whole.outcome, whole.headers.get('content-type')]).toEqual([expected, 'image/png']);
      expect(whole.bytes).toEqual(Buffer.from(everyByte));
      const streamed = await at.send({ key: 'stream', path: '/stream' });
      expect(streamed.outcome).toBe(expected);
      expect(streamed.bytes).toEqual(Buffer.from([...everyByte, ...everyByte]));
    }
  });

  test('defect 10: completing dropped what the payload is compared with, and each legitimate retry was a mismatch', async () => {
    await at.serve([post(counting(() => new Response('done')))]);
    const outcomes: (string | null)[] = [];
    for (const body of ['{"a":1,"b":2}', '{"a":1,"b":2}', '{ "b": 2, "a": 1 }', '{"a":1,"b":3}', '{"a":1,"b":2}']) {
      outcomes.push((await at.send({ body })).outcome);
    }
    expect(outcomes).toEqual(['executed', 'replayed', 'replayed', 'mismatch', 'replayed']);
  });

  test('defect 11: an expiry was compared with the milliseconds of a second, and so never came', async () => {
    const retentionMs = 3_600_000;
    await at.serve([post(counting(() => new Response('done')))], { options: { retentionMs } });
    await at.send();
    await at.world.advance(retentionMs - 1);
    expect((await at.send()).outcome).toBe('replayed');
    await at.world.advance(1);
    const late = await at.send();
    expect([late.status, late.outcome, await at.count()]).toEqual([410, 'expired', 1]);
  });

  test('defect 11: a handler that threw after its effect had it once more at each retry', async () => {
    let failing = true;
    const handler = counting(() => {
      if (failing) throw new Error('after the effect');
      return new Response('done');
    });
    await at.serve([post(handler)]);
    for (let times = 0; times < 3; times++) expect((await at.send()).status).toBe(500);
    failing = false;
    expect((await at.send()).outcome).toBe('executed');
    expect(await at.count()).toBe(1);
  });

  test('defect 12: a claim whose owner was lost was expired for ever, and the late owner could still complete it', async () => {
    const reached = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const gates = [Promise.withResolvers<Response>(), Promise.withResolvers<Response>()];
    let runs = 0;
    const handler = counting(async () => {
      const run = runs++;
      reached[run]?.resolve();
      return (await gates[run]?.promise) ?? new Response('once too often');
    });
    await at.serve([post(handler, { deadlineMs: 30_000 })]);
    const lost = at.send();
    await reached[0]?.promise;
    await at.world.advance(30_000);
    const told = await lost;
    expect([told.status, told.outcome, told.headers.get('retry-after')]).toEqual([503, 'refused', '1']);
    const retry = at.send();
    await reached[1]?.promise;
    gates[0]?.resolve(new Response('too late'));
    gates[1]?.resolve(new Response('in time'));
    expect((await retry).text).toBe('in time');
    expect((await at.send()).text).toBe('in time');
    expect(await at.count()).toBe(1);
  });

  test('defect 12: the members of a JSON answer were replayed in another order', async () => {
    const text = '{"z":1,"a":1.50,"10":"\\u00e9"}';
    await at.serve([post(() => new Response(text, { headers: { 'content-type': 'application/json' } }))]);
    expect((await at.send()).text).toBe(text);
    expect((await at.send()).text).toBe(text);
  });
});
