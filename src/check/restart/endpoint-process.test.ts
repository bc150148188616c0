import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { realEnvironment, type Environment } from '../../client/environment.ts';
import { SkippingEnvironment } from '../../testing/skipping-environment.harness.ts';
import { NotTriedError } from '../check-error.ts';
import { EndpointProcess } from './endpoint-process.ts';
import { defaultLimits } from '../limits.ts';
import type { Restart } from './restart.ts';

describe('EndpointProcess', () => {
  test('ends what serves, starts it again, and waits until it accepts connections', async () => {
    const served = await serveAnything();
    const acts: string[] = [];
    const aim = async () => () => {
      acts.push('killed');
      served.die();
    };
    const start = () => {
      acts.push('started');
      return { ended: served.revive() };
    };
    const { strike, comeBack } = await endpoint(served, { aim, start }).aim();
    await strike();
    await comeBack();
    expect(acts).toEqual(['killed', 'started']);
  });

  test('lets a server go that waits for its connections before it ends', async () => {
    const served = await serveAnything();
    const start = () => ({ ended: served.endGently().then(served.revive) });
    const { strike, comeBack } = await endpoint(served, { start }).aim();
    await strike();
    await comeBack();
  });

  test('starts nothing where there is nothing to be killed', async () => {
    const served = await serveAnything();
    const aim = async () => () => {
      throw new NotTriedError('there is no process 7');
    };
    let started = 0;
    const start = () => ((started += 1), { ended: Promise.resolve(0) });
    const { strike } = await endpoint(served, { aim, start }).aim();
    await expect(strike()).rejects.toMatchObject({ code: 'NOT_TRIED' });
    expect(started).toBe(0);
  });

  test('believes no kill that an open connection outlives', async () => {
    const served = await serveAnything();
    const environment = new SkippingEnvironment();
    const { strike } = await endpoint(served, { aim: async () => () => undefined }, { environment }).aim();
    await expect(strike()).rejects.toMatchObject({
      code: 'NOT_TRIED',
      message: expect.stringContaining('outlived the kill'),
    });
  });

  test.for([
    ['a command that restarts nothing', 'nobody', 0, 'NOT_TRIED', 'outlived the restart'],
    ['a command that fails before it kills', 'nobody', 127, 'NOT_TRIED', 'ended with 127'],
    ['a command that fails when it starts', 'checker', 127, 'CANNOT_RUN', 'ended with 127'],
    ['a command that starts nothing', 'checker', 0, 'CANNOT_RUN', 'did not come back within 0.1 s'],
    ['a command that kills and does not start', 'command', 0, 'CANNOT_RUN', 'did not come back within 0.1 s'],
    [
      'a command that serves in the foreground, and cannot be killed',
      'command',
      undefined,
      'CANNOT_RUN',
      'does not end',
    ],
  ] as const)('does not go on after %s', async ([, killer, ending, code, words]) => {
    const served = await serveAnything();
    const start = () => {
      if (killer === 'command') served.die();
      return { ended: ending === undefined ? new Promise<never>(() => undefined) : Promise.resolve(ending) };
    };
    const restart = killer === 'checker' ? { aim: async () => served.die, start } : { start };
    const { strike, comeBack } = await endpoint(served, restart).aim();
    await strike();
    await expect(comeBack()).rejects.toMatchObject({ code, message: expect.stringContaining(words) });
  });

  test('gives up where nothing is named that could be killed', async () => {
    const served = await serveAnything();
    await expect(endpoint(served, { aim: async () => undefined }).aim()).rejects.toMatchObject({ code: 'NOT_TRIED' });
  });

  test('starts again what it killed, even if it is interrupted then', async () => {
    const served = await serveAnything();
    const interrupt = new AbortController();
    let started = 0;
    const aim = async () => () => interrupt.abort();
    const start = () => ((started += 1), { ended: Promise.resolve(0) });
    const { strike } = await endpoint(served, { aim, start }, { signal: interrupt.signal }).aim();
    await expect(strike()).rejects.toMatchObject({ name: 'AbortError' });
    expect(started).toBe(1);
  });
});

interface Surroundings {
  readonly environment?: Environment;
  readonly signal?: AbortSignal;
}

function endpoint(
  { port }: Served,
  restart: Pick<Restart, 'aim' | 'start'>,
  { environment = realEnvironment, signal = new AbortController().signal }: Surroundings = {},
): EndpointProcess {
  return new EndpointProcess({
    restart: { plan: '', script: '', ...restart },
    url: new URL(`http://127.0.0.1:${port}/`),
    meter: undefined,
    limits: { ...defaultLimits, startupMsMax: 100 },
    environment,
    signal,
  });
}

interface Served {
  readonly port: number;
  /** As the kernel does it for a process that is killed. */
  readonly die: () => void;
  /** As a server does it that is asked to. */
  readonly endGently: () => Promise<void>;
  readonly revive: () => Promise<number>;
}

async function serveAnything(): Promise<Served> {
  const sockets = new Set<Socket>();
  let server: Server | undefined;
  const listen = async (port: number): Promise<number> => {
    server = createServer((socket) => {
      sockets.add(socket.on('error', () => undefined));
    }).listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const die = (): void => {
    server?.close();
    for (const socket of sockets) socket.resetAndDestroy();
  };
  const endGently = () => new Promise<void>((resolve) => server?.close(() => resolve()));
  const port = await listen(0);
  onTestFinished(die);
  return { port, die, endGently, revive: async () => ((await listen(port)) === port ? 0 : 1) };
}
