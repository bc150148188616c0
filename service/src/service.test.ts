import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { DamagedError, DirectoryLockedError } from 'semel';
import { openStore, type EmbeddedStore, type OpenOptions } from 'semel/embedded';
import { ManualWorld, SimulatedDisk, until } from 'semel/testing';
import { describe, expect, test } from 'vitest';
import { problemOf, serviceUnderTest } from './service-under-test.ts';
import { serviceLimits } from './service-limits.ts';

describe('startService', () => {
  test('startService starts again on what it left, and replays what it answered', async () => {
    const disk = new SimulatedDisk({ seed: 1 });
    const transaction = {
      headers: { 'idempotency-key': 'one' },
      body: { mutations: [{ add: { key: 'n', by: 1 } }], reads: ['n'] },
    };
    const first = await serviceUnderTest({ disk });
    const executed = await first.send('POST', '/v1/transactions', transaction);
    const second = await serviceUnderTest({ disk: disk.kill() });
    const replayed = await second.send('POST', '/v1/transactions', transaction);
    expect(replayed.headers.get('idempotent-replayed')).toBe('true');
    expect([replayed.status, replayed.text]).toEqual([executed.status, executed.text]);
    expect((await second.send('GET', '/v1/kv/n')).json).toMatchObject({ value: 1 });
    expect((await second.send('GET', '/metrics')).text).toMatch(/semel_store_recovered_entries [1-9]/);
  });

  test('startService settles by its retry what a failed sync left unknown, and says so meanwhile', async () => {
    const disk = new SimulatedDisk({ seed: 1 });
    const transaction = {
      headers: { 'idempotency-key': 'one' },
      body: { mutations: [{ add: { key: 'n', by: 1 } }], reads: ['n'] },
    };
    const first = await serviceUnderTest({ disk });
    const earlier = { headers: { 'idempotency-key': 'zero' }, body: { mutations: [{ add: { key: 'n', by: 1 } }] } };
    const executed = await first.send('POST', '/v1/transactions', earlier);
    disk.failSync(disk.syncs + 1);
    const unknown = await first.send('POST', '/v1/transactions', transaction);
    expect([unknown.status, problemOf(unknown)]).toEqual([503, 'commit-unknown']);
    const meanwhile = await first.send('POST', '/v1/transactions', transaction);
    expect([meanwhile.status, problemOf(meanwhile)]).toEqual([503, 'poisoned']);
    // The first of the two did take effect: "nothing took effect" would be a lie.
    expect(meanwhile.text).toContain('this request executed nothing');
    expect(meanwhile.text).not.toContain('nothing took effect');
    const acknowledged = await first.send('POST', '/v1/transactions', earlier);
    expect([acknowledged.status, acknowledged.text]).toEqual([200, executed.text]);
    expect(acknowledged.headers.get('idempotency-outcome')).toBe('replayed');
    const settled = await first.send('POST', '/v1/operations/zero/cancel');
    expect(settled.json).toMatchObject({ state: 'complete', outcome: { status: 200 } });
    const second = await serviceUnderTest({ disk: disk.kill() });
    const replayed = await second.send('POST', '/v1/transactions', transaction);
    expect([replayed.status, replayed.headers.get('idempotency-outcome')]).toEqual([200, 'replayed']);
    expect((await second.send('GET', '/v1/kv/n')).json).toMatchObject({ value: 2 });
  });

  test('startService on a full disk says to free space, before and after the restart, and loses nothing of what it answered', async () => {
    const { disk, put, send, log } = await serviceUnderTest();
    await put('a', 1);
    disk.limitSpace(10);
    const written = await send('PUT', '/v1/kv/a', { body: '2' });
    expect(written.status).toBe(503);
    const advice = 'free space on it, then start the service again';
    for (const answer of [await send('PUT', '/v1/kv/a', { body: '3' }), await send('GET', '/readyz')]) {
      expect(problemOf(answer)).toBe('poisoned');
      expect(answer.text).toContain(advice);
    }
    expect(log.filter((line) => line.includes('"level":"error"')).join('')).toContain(advice);
    expect((await send('GET', '/v1/kv/a')).json).toMatchObject({ value: 1 });

    const full = disk.kill();
    full.limitSpace(0);
    await expect(serviceUnderTest({ disk: full })).rejects.toThrow('free space');
    const next = await serviceUnderTest({ disk: full.kill() });
    expect((await next.send('GET', '/v1/kv/a')).json).toMatchObject({ value: 1 });
  });

  test('startService that cannot listen lets go of its store', async () => {
    const { url, stop } = await serviceUnderTest();
    await stop();
    const port = Number(new URL(url).port);
    const disk = new SimulatedDisk({ seed: 1 });
    // Somebody takes the port while the log is read.
    const occupant = createServer();
    const occupying = async (options: OpenOptions): Promise<EmbeddedStore> => {
      occupant.listen(port, '127.0.0.1');
      await once(occupant, 'listening');
      return openStore(options);
    };
    await expect(serviceUnderTest({ disk, port, openStore: occupying })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    occupant.close();
    await serviceUnderTest({ disk });
  });

  test('startService on a port in use opens nothing and logs nothing', async () => {
    const { url } = await serviceUnderTest();
    const disk = new SimulatedDisk({ seed: 1 });
    const lines: string[] = [];
    const logTo = { write: (line: string) => void lines.push(line) };
    const port = Number(new URL(url).port);
    await expect(serviceUnderTest({ disk, port, logTo })).rejects.toMatchObject({ code: 'EADDRINUSE' });
    expect([lines, disk.operations]).toEqual([[], 0]);
  });

  test('startService refuses a disk that is in use, and a damaged log', async () => {
    const { disk, put } = await serviceUnderTest();
    await expect(serviceUnderTest({ disk })).rejects.toThrow(DirectoryLockedError);
    for (let value = 0; value < 4; value++) await put('a', value);
    const [name = ''] = (await disk.list()).filter((file) => file.includes('log'));
    const bytes = await disk.read(name);
    const middle = Math.floor(bytes.length / 2);
    bytes[middle] = (bytes[middle] ?? 0) ^ 0xff;
    const damaged = new SimulatedDisk({ seed: 1, files: new Map([[name, bytes]]) });
    await expect(serviceUnderTest({ disk: damaged })).rejects.toThrow(DamagedError);
  });
});

describe('stop', () => {
  test('stop lets a request under way finish, refuses others, and closes the store last', async () => {
    let release = (): void => undefined;
    let held = false;
    let holding = false;
    const disk = new SimulatedDisk({
      seed: 1,
      async pause(operation) {
        if (operation !== 'sync' || !holding) return;
        held = true;
        await new Promise<void>((resolve) => (release = resolve));
      },
    });
    const { send, stop, url } = await serviceUnderTest({ disk });
    const idle = connect(Number(new URL(url).port), '127.0.0.1');
    await once(idle, 'connect');
    holding = true;
    const underWay = send('PUT', '/v1/kv/a', { body: '1' });
    await until(() => held);
    holding = false;
    const stopped = stop();
    await expect(send('GET', '/v1/kv/a')).rejects.toThrow();
    release();
    expect((await underWay).status).toBe(201);
    await stopped;
    const next = await serviceUnderTest({ disk });
    expect((await next.send('GET', '/v1/kv/a')).json).toMatchObject({ value: 1 });
    idle.destroy();
  });

  test('stop lets a request finish that had begun to come, and closes its connection', async () => {
    const { url, stop } = await serviceUnderTest();
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write('PUT /v1/kv/a HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n');
    socket.write('expect: 100-continue\r\ncontent-length: 1\r\n\r\n');
    await once(socket, 'data');
    const answers = text(socket);
    const stopped = stop();
    socket.write('1');
    expect(await answers).toMatch(/^HTTP\/1\.1 201 Created\r\n(.*\r\n)*connection: close\r\n/i);
    await stopped;
  });

  test('stop answers what arrives in full only now with stopping: to be sent again here, with the same key', async () => {
    // Its clock stands still: nobody is cut off, so the connection ends by itself or not at all.
    const { url, stop } = await serviceUnderTest({ world: new ManualWorld() });
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    const head = 'PUT /v1/kv/a HTTP/1.1\r\nhost: localhost\r\n';
    // In one piece, so that when the first is answered the service has begun to read the second.
    socket.write(`GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n${head}`);
    await once(socket, 'data');
    const answers = text(socket);
    const stopped = stop();
    socket.write('content-length: 1\r\n\r\n1');
    const answer = await answers;
    expect(answer).toMatch(/^HTTP\/1\.1 503 .*\r\n(.*\r\n)*retry-after: 1\r\n/i);
    expect(answer).toContain('/problems/stopping"');
    expect(answer).toContain('to this same service, with the same Idempotency-Key');
    expect(answer).not.toMatch(/elsewhere|nothing took effect/);
    await stopped;
  });

  test('stop cuts off whoever is still connected after shutdownMsMax', async () => {
    const world = new ManualWorld();
    const { url, stop, log } = await serviceUnderTest({ world });
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write('PUT /v1/kv/a HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n');
    // The service has read the head when it tells to go on; the body never comes.
    await once(socket, 'data');
    const closed = once(socket, 'close');
    const stopped = stop();
    await world.advance(serviceLimits.shutdownMsMax);
    await Promise.all([stopped, closed]);
    expect(log.at(-1)).toContain('"stopped"');
  });

  test('stop ends open snapshots, and can be asked for twice', async () => {
    const { send, put, stop } = await serviceUnderTest();
    for (const key of ['a', 'b']) await put(key, 1);
    expect((await send('GET', '/v1/kv?limit=1')).json).toHaveProperty('cursor');
    await Promise.all([stop(), stop()]);
  });
});
