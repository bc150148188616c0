import type { ReadTransaction, Transaction, Value } from 'semel';
import { openStore, type EmbeddedStore } from 'semel/embedded';
import {
  createOnce,
  type Handler,
  keptBytesMax,
  keptResponse,
  type Once,
  passingBytesMax,
  type RouteOptions,
} from 'semel/http';
import { beforeEach, describe, expect, test } from 'vitest';

let store: EmbeddedStore;
let once: Once<Transaction, void>;
let executions: number;

beforeEach(async () => {
  store = await openStore();
  once = createOnce(store, { scope: () => 'one' });
  executions = 0;
});

type Send = (method?: string) => Promise<Response>;

function answering(make: () => Response, options: RouteOptions<void> = {}): Send {
  const handler: Handler<Transaction, void> = async (_request, tx) => {
    executions += 1;
    await tx.add(['executions'], 1);
    return make();
  };
  const handle = once(handler, options);
  return (method = 'POST') =>
    handle(new Request('http://bank.example/', { method, headers: { 'idempotency-key': 'k' } }));
}

/** What must be equal: all but the three fields that tell the answers apart. */
async function comparable(response: Response) {
  const told = ['idempotency-outcome', 'idempotent-replayed'];
  const headers = [...response.headers].filter(([name]) => !told.includes(name));
  return { status: response.status, headers, body: Buffer.from(await response.arrayBuffer()) };
}

/** Sends twice; the second is a replay and equal. */
async function twice(send: Send) {
  const first = await comparable(await send());
  const second = await send();
  expect(second.headers.get('idempotent-replayed')).toBe('true');
  expect(await comparable(second)).toEqual(first);
  expect(executions).toBe(1);
  return first;
}

const everyByte = Uint8Array.from({ length: 256 }, (_nothing, at) => at);

function inPieces(...pieces: string[]): ReadableStream<Uint8Array> {
  return ReadableStream.from(pieces.map((piece) => new TextEncoder().encode(piece)));
}

describe('a kept response', () => {
  test.each([204, 205, 304])(
    'a kept response of status %i, with no body, is replayed (defect 3: the handler ran again each time)',
    async (status) => {
      const { body } = await twice(answering(() => new Response(null, { status })));
      expect(body).toHaveLength(0);
    },
  );

  test('a kept response of 200 with no body is replayed empty', async () => {
    expect((await twice(answering(() => new Response()))).body).toHaveLength(0);
  });

  test('a kept response of bytes is replayed byte for byte (defect 9: it came back as {"type":"Buffer"})', async () => {
    const { body } = await twice(answering(() => new Response(everyByte)));
    expect(body).toEqual(Buffer.from(everyByte));
  });

  test('a kept response that was streamed is replayed whole (defects 4 and 9: it stayed in progress, or came back empty)', async () => {
    const { body } = await twice(answering(() => new Response(inPieces('one ', 'two ', 'three'))));
    expect(body.toString()).toBe('one two three');
  });

  test('a kept response has its JSON in the order and spelling of the first answer (defect 12: members were reordered)', async () => {
    const text = '{"z":1,"a":1.50,"10":"\\u00e9"}';
    expect((await twice(answering(() => new Response(text)))).body.toString()).toBe(text);
  });

  test('a kept response has the fields that describe the body or lead the client on, and those that the route adds', async () => {
    const headers = {
      'content-type': 'text/csv',
      etag: '"1"',
      location: '/orders/1',
      'x-balance': '5',
      'x-internal': 'secret',
    };
    const first = await twice(answering(() => new Response('a', { headers }), { headers: ['X-Balance'] }));
    const names = first.headers.map(([name]) => name);
    expect(names).toEqual(['content-type', 'etag', 'idempotency-expires', 'location', 'x-balance']);
  });

  test('a kept response joins the fields of one name, as fetch does, and replays them so', async () => {
    const headers = new Headers([
      ['link', '</a>; rel=next'],
      ['link', '</b>; rel=prev'],
    ]);
    const first = await twice(answering(() => new Response('a', { headers })));
    expect(first.headers).toContainEqual(['link', '</a>; rel=next, </b>; rel=prev']);
  });

  test('a kept response sets its cookies at the execution and never at a replay', async () => {
    const headers = new Headers([
      ['set-cookie', 'a=1'],
      ['set-cookie', 'b=2'],
    ]);
    const send = answering(() => new Response('a', { headers }));
    expect((await send()).headers.getSetCookie()).toEqual(['a=1', 'b=2']);
    expect((await send()).headers.getSetCookie()).toEqual([]);
    const kept = await store.read(async (tx) => JSON.stringify(await Array.fromAsync(tx.scan({}))));
    expect(kept).not.toContain('set-cookie');
  });

  test('a kept response loses what belongs to the connection, be it nominated by Connection', async () => {
    const headers = {
      connection: 'close, x-hop',
      'x-hop': '1',
      'keep-alive': 'timeout=5',
      'transfer-encoding': 'chunked',
    };
    const first = await twice(answering(() => new Response('a', { headers }), { headers: ['x-hop'] }));
    expect(first.headers.map(([name]) => name)).toEqual(['content-type', 'idempotency-expires']);
  });

  test('a kept response has nothing of the request (defect 5: its Authorization was stored)', async () => {
    const handle = once(() => new Response('a'));
    const headers = { 'idempotency-key': 'k', authorization: 'Bearer hunter2' };
    await handle(new Request('http://bank.example/', { method: 'POST', headers }));
    const kept = await store.read(async (tx) => JSON.stringify(await Array.fromAsync(tx.scan({}))));
    expect(kept).not.toContain('hunter2');
  });

  test('a kept response can be read from the stored result', async () => {
    await answering(() => new Response('a', { status: 201 }))();
    const view = await once.operations.look('one', 'k');
    expect(view?.state).toBe('complete');
    const response = view?.state === 'complete' ? keptResponse(view.result) : undefined;
    expect([response?.status, await response?.text()]).toEqual([201, 'a']);
  });
});

describe('a response that is too large to be kept', () => {
  test('a response that is too large to be kept takes no effect: 500 names the limit and the way out, and the key is not consumed', async () => {
    let bytes = keptBytesMax + 1;
    const send = answering(() => new Response(new Uint8Array(bytes)));
    const response = await send();
    expect([response.status, response.headers.get('idempotency-outcome')]).toEqual([500, 'refused']);
    expect(await response.json()).toMatchObject({
      type: 'https://semel.dev/problems/response-too-large',
      limit: 'responseBytesMax',
      maximum: keptBytesMax,
      detail: expect.stringContaining("store: 'reference'"),
    });
    expect(await store.read((tx) => tx.get(['executions']))).toBeUndefined();
    bytes = keptBytesMax;
    expect((await send()).headers.get('idempotency-outcome')).toBe('executed');
  });

  test('a response that is too large to be kept is told by its bytes in the record, not by its characters', async () => {
    const send = answering(() => new Response('a', { headers: { link: '\u00ff'.repeat(700_000) } }));
    const response = await send();
    expect(response.status).toBe(500);
    expect(await response.json()).toMatchObject({ limit: 'responseBytesMax', maximum: keptBytesMax });
    expect(await store.read((tx) => tx.get(['executions']))).toBeUndefined();
  });

  test('a response that is too large to be kept may pass where nothing is kept of it', async () => {
    const send = answering(() => new Response(new Uint8Array(keptBytesMax + 1)), { keep: { '2xx': 'nothing' } });
    expect((await (await send()).arrayBuffer()).byteLength).toBe(keptBytesMax + 1);
    expect((await send('GET')).status).toBe(200);
  });

  test('a response without an end is given up at the bound of what passes', async () => {
    let pulled = 0;
    const endless = new ReadableStream({
      pull(controller) {
        pulled += 1;
        controller.enqueue(new Uint8Array(1_048_576));
      },
    });
    const response = await answering(() => new Response(endless))('GET');
    expect(response.status).toBe(500);
    expect(response.headers.has('idempotency-outcome')).toBe(false);
    expect(await response.json()).toMatchObject({ limit: 'passingBytesMax', maximum: passingBytesMax });
    expect(pulled).toBeLessThan(20);
  });
});

describe("store: 'reference'", () => {
  const byReference = (replay: (id: Value) => Response | undefined) => ({
    store: 'reference' as const,
    reference: async (response: Response) => /"id":"(.+?)"/.exec(await response.text())?.[1] ?? '',
    replay: (_tx: ReadTransaction, id: Value) => replay(id),
  });

  test("store: 'reference' keeps an id and replays what the function makes of it", async () => {
    const send = answering(
      () => Response.json({ id: 'order-1', state: 'new' }),
      byReference((id) => Response.json({ id, state: 'shipped' })),
    );
    expect(await (await send()).json()).toEqual({ id: 'order-1', state: 'new' });
    const replay = await send();
    expect(replay.headers.get('idempotent-replayed')).toBe('true');
    expect(await replay.json()).toEqual({ id: 'order-1', state: 'shipped' });
    expect(executions).toBe(1);
    const view = await once.operations.look('one', 'k');
    expect(view).toMatchObject({ result: { reference: 'order-1' } });
    expect(view?.state === 'complete' && keptResponse(view.result)).toBe(undefined);
  });

  test("store: 'reference' reads what the id names in a transaction", async () => {
    const handle = once(
      async (_request, tx) => {
        tx.set(['order', '1'], 'new');
        return Response.json({ id: '1' });
      },
      {
        ...byReference(() => undefined),
        replay: async (tx: ReadTransaction) => Response.json(await tx.get(['order', '1'])),
      },
    );
    const send = () =>
      handle(new Request('http://bank.example/', { method: 'POST', headers: { 'idempotency-key': 'k' } }));
    await send();
    expect(await (await send()).json()).toBe('new');
  });

  test("store: 'reference' answers 410 when what the id names is gone, and never executes again", async () => {
    const send = answering(
      () => Response.json({ id: 'order-1' }),
      byReference(() => undefined),
    );
    await send();
    const gone = await send();
    expect([gone.status, gone.headers.get('idempotency-outcome')]).toEqual([410, 'expired']);
    expect(gone.headers.has('idempotent-replayed')).toBe(false);
    expect(await gone.json()).toMatchObject({ type: 'https://semel.dev/problems/result-gone' });
    expect(executions).toBe(1);
  });

  test("store: 'reference' answers 410 when the route has learned to keep responses meanwhile", async () => {
    await answering(
      () => Response.json({ id: 'order-1' }),
      byReference(() => new Response('x')),
    )();
    expect((await answering(() => new Response('new'))()).status).toBe(410);
    expect(executions).toBe(1);
  });

  test("store: 'reference' keeps refusals whole, for they name nothing", async () => {
    const send = answering(
      () => new Response('no', { status: 422 }),
      byReference(() => new Response('never asked')),
    );
    await send();
    expect(await (await send()).text()).toBe('no');
  });

  test("store: 'reference' is not bound by what a record can hold", async () => {
    const large = JSON.stringify({ id: 'report', rows: 'x'.repeat(keptBytesMax) });
    const send = answering(
      () => new Response(large),
      byReference(() => new Response(large)),
    );
    expect((await (await send()).text()).length).toBe(large.length);
    expect((await (await send()).text()).length).toBe(large.length);
  });
});
