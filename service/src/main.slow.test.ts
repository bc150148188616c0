import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, onTestFinished, test } from 'vitest';
import { sendTo, type Answered, type SendOptions } from './service-under-test.ts';

const main = join(import.meta.dirname, 'main.ts');

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'semel-service-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

function run(...args: readonly string[]): ChildProcess {
  const process_ = spawn(process.execPath, ['--conditions=semel-source', main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(() => void process_.kill('SIGKILL'));
  return process_;
}

interface Ended {
  readonly exitCode: unknown;
  readonly out: string;
  readonly err: string;
}

async function endOf(process_: ChildProcess): Promise<Ended> {
  const { stdout, stderr } = process_;
  if (stdout === null || stderr === null) throw new Error('the process has no pipes');
  const [out, err, [exitCode]] = await Promise.all([text(stdout), text(stderr), once(process_, 'exit')]);
  return { exitCode, out, err };
}

interface Serving {
  readonly process: ChildProcess;
  readonly url: string;
  readonly send: (method: string, path: string, options?: SendOptions) => Promise<Answered>;
}

async function serve(directory: string, ...args: readonly string[]): Promise<Serving> {
  const process_ = run('--data', directory, '--port', '0', '--log-level', 'error', ...args);
  let out = '';
  for await (const chunk of process_.stdout ?? []) {
    out += String(chunk);
    if (out.includes('\n')) break;
  }
  const url = /http:\/\/\S+/.exec(out)?.[0] ?? '';
  return { process: process_, url, send: (method, path, options) => sendTo(url, method, path, options) };
}

describe('the service as a process', () => {
  test('a request sent twice with a kill -9 and a restart between has one effect, and the same answer byte for byte', async () => {
    const directory = temporaryDirectory();
    const transaction = {
      headers: { 'idempotency-key': 'order-7' },
      body: { mutations: [{ add: { key: 'orders', by: 1 } }], reads: ['orders'] },
    };
    const first = await serve(directory);
    const executed = await first.send('POST', '/v1/transactions', transaction);
    expect(executed.headers.get('idempotency-outcome')).toBe('executed');
    first.process.kill('SIGKILL');
    await once(first.process, 'exit');

    const second = await serve(directory);
    const replayed = await second.send('POST', '/v1/transactions', transaction);
    expect(replayed.headers.get('idempotent-replayed')).toBe('true');
    expect(replayed.headers.get('idempotency-outcome')).toBe('replayed');
    expect([replayed.status, replayed.text]).toEqual([executed.status, executed.text]);
    expect((await second.send('GET', '/v1/kv/orders')).json).toMatchObject({ value: 1 });
    expect((await second.send('GET', '/v1/operations/order-7')).json).toMatchObject({ state: 'complete' });
  });

  test.each(['SIGTERM', 'SIGINT'] as const)('%s ends it with exit code 0', async (signal) => {
    const { process, send } = await serve(temporaryDirectory());
    expect((await send('PUT', '/v1/kv/a', { body: '1' })).status).toBe(201);
    process.kill(signal);
    expect(await once(process, 'exit')).toEqual([0, null]);
  });

  test('a second signal ends it at once, although a request is still under way', async () => {
    const { process, url } = await serve(temporaryDirectory());
    const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => undefined);
    socket.write('PUT /v1/kv/a HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n');
    await once(socket, 'data');
    process.kill('SIGTERM');
    // It no longer listens: the first signal has arrived.
    for (let refused = false; !refused;)
      refused = await sendTo(url, 'GET', '/healthz').then(
        () => false,
        () => true,
      );
    process.kill('SIGTERM');
    expect(await once(process, 'exit')).toEqual([1, null]);
  });

  test('a second process on the directory is refused in one line that names the owner', async () => {
    const directory = temporaryDirectory();
    const { process } = await serve(directory);
    const { exitCode, out, err } = await endOf(run('--data', directory, '--port', '0', '--log-level', 'error'));
    expect([exitCode, out]).toEqual([1, '']);
    expect(err).toMatch(/^semel cannot start: .*\n$/);
    expect(err).toContain(String(process.pid));
  });

  test('a port in use is told in one line', async () => {
    const { url } = await serve(temporaryDirectory());
    const { port, host } = new URL(url);
    const directory = join(temporaryDirectory(), 'data');
    const { exitCode, err } = await endOf(run('--data', directory, '--port', port));
    expect([exitCode, err]).toEqual([1, `semel cannot start: ${host} is in use by another process\n`]);
    expect(existsSync(directory)).toBe(false);
  });

  test('a damaged log is told in one line, with the file and the place', async () => {
    const directory = temporaryDirectory();
    const { process, send } = await serve(directory);
    for (let count = 0; count < 8; count++) await send('PUT', '/v1/kv/a', { body: `"${'x'.repeat(1_000)}"` });
    process.kill('SIGKILL');
    await once(process, 'exit');
    const sizeOf = (name: string): number => statSync(join(directory, name)).size;
    const [largest = ''] = readdirSync(directory).sort((one, other) => sizeOf(other) - sizeOf(one));
    const path = join(directory, largest);
    const bytes = readFileSync(path);
    const at = bytes.indexOf('xxxx');
    bytes[at] = 0;
    writeFileSync(path, bytes);
    const { exitCode, err } = await endOf(run('--data', directory, '--port', '0', '--log-level', 'error'));
    expect(exitCode).toBe(1);
    expect(err).toMatch(/^semel cannot start: .* is damaged at byte \d+: .*\n$/);
    expect(err).toContain(path);
  });

  test('a flag that is not known is refused by name with exit code 2, and --help is not', async () => {
    const refused = await endOf(run('--prot', '1'));
    expect([refused.exitCode, refused.out]).toEqual([2, '']);
    expect(refused.err).toContain('--prot');
    const help = await endOf(run('--help'));
    expect([help.exitCode, help.err]).toEqual([0, '']);
    expect(help.out).toContain('SEMEL_DATA');
  });

  test('with API keys it serves on every address, to who has one', async () => {
    const made = await endOf(run('api-key', '--tenant', 'acme'));
    expect(made.exitCode).toBe(0);
    const apiKey = /semel_\S+/.exec(made.out)?.[0] ?? '';
    const entry: unknown = JSON.parse(/\{.*\}/.exec(made.out)?.[0] ?? '');
    const file = join(temporaryDirectory(), 'keys.json');
    writeFileSync(file, JSON.stringify([entry]));
    const { url } = await serve(temporaryDirectory(), '--host', '0.0.0.0', '--api-keys', file);
    const local = url.replace('0.0.0.0', '127.0.0.1');
    expect((await sendTo(local, 'GET', '/v1/kv')).status).toBe(401);
    const headers = { authorization: `Bearer ${apiKey}` };
    expect((await sendTo(local, 'GET', '/v1/kv', { headers })).status).toBe(200);
  });
});
