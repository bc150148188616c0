import { once as event } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { counting, doors, DoorUnderTest, post } from './doors.harness.ts';

describe.each(doors)('$name', (door) => {
  const at = new DoorUnderTest(door);

  /** Sends as it is; resolves with both ends of the connection when the server has begun with the request. */
  async function sendRaw(text: string): Promise<{ client: Socket; closed: Promise<void> }> {
    const client = connect(at.port, '127.0.0.1');
    const accepted = event(at.server, 'connection') as Promise<[Socket]>;
    const begun = event(at.server, 'request');
    client.write(text);
    const [peer] = await accepted;
    // Not `event`, which also hears of the reset that may come first.
    const closed = new Promise<void>((resolve) => void peer.once('close', () => resolve()));
    await begun;
    return { client, closed };
  }

  function whole(body = '{"amount":5}'): string {
    const fields = [
      'Host: x',
      'Idempotency-Key: k',
      'Content-Type: application/json',
      `Content-Length: ${body.length}`,
    ];
    return `POST / HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n${body}`;
  }

  test('a client that leaves before its request is whole executes nothing, and its key is unused', async () => {
    await at.serve([post(counting(() => new Response('done')))]);
    const { client, closed } = await sendRaw(whole().slice(0, -4));
    client.destroy();
    await closed;
    expect(await at.count()).toBeUndefined();
    expect((await at.send()).outcome).toBe('executed');
    expect(await at.count()).toBe(1);
  });

  test('a client that leaves between its request and the handler changes nothing: the retry finds the result', async () => {
    const guarding = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const executed = Promise.withResolvers<void>();
    const guard = async (): Promise<undefined> => {
      guarding.resolve();
      await gate.promise;
    };
    const onEvent = (): void => executed.resolve();
    await at.serve(
      [
        post(
          counting(() => new Response('done')),
          { guard },
        ),
      ],
      { options: { onEvent } },
    );
    const { client, closed } = await sendRaw(whole());
    await guarding.promise;
    client.destroy();
    await closed;
    gate.resolve();
    await executed.promise;
    const retry = await at.send();
    expect([retry.outcome, retry.text, await at.count()]).toEqual(['replayed', 'done', 1]);
  });

  test('a client that leaves while the handler runs changes nothing: a retry that comes meanwhile gets the result', async () => {
    const reached = Promise.withResolvers<void>();
    const gate = Promise.withResolvers<void>();
    const handler = counting(async () => {
      reached.resolve();
      await gate.promise;
      return new Response('done');
    });
    await at.serve([post(handler)]);
    const { client, closed } = await sendRaw(whole());
    await reached.promise;
    client.destroy();
    await closed;
    const retry = at.send();
    await event(at.server, 'request');
    gate.resolve();
    const { outcome, text } = await retry;
    expect([outcome, text, await at.count()]).toEqual(['replayed', 'done', 1]);
  });

  test('a client that leaves in the middle of the answer gets all of it at the retry', async () => {
    const answer = 'x'.repeat(900_000);
    await at.serve([post(counting(() => new Response(answer)))]);
    const { client, closed } = await sendRaw(whole());
    await event(client, 'data');
    client.destroy();
    await closed;
    const retry = await at.send();
    expect([retry.outcome, retry.text === answer, await at.count()]).toEqual(['replayed', true, 1]);
  });
});
