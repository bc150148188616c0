import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';
import { assert, expect, onTestFinished, test } from 'vitest';

interface Browser {
  readonly name: string;
  readonly words: (profile: string) => readonly string[];
}

const browsers: readonly Browser[] = [
  {
    name: 'chromium',
    words: (profile) => [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      '--no-first-run',
      `--user-data-dir=${profile}`,
    ],
  },
  // It shows no body of a Request, where Chromium does.
  { name: 'firefox-esr', words: (profile) => ['--headless', '--no-remote', '--profile', profile] },
];

/** Where a browser is missing, its test shows as skipped, and says so; in continuous integration it fails instead. */
function programOf(name: string): string | undefined {
  const directories = (process.env['PATH'] ?? '').split(':');
  const program = directories.map((directory) => join(directory, name)).find((path) => existsSync(path));
  if (program === undefined) console.error(`NOT TESTED in ${name}, which is not installed`);
  return program;
}

test.for(browsers)('createFetch keeps its promises in $name', async ({ name, words }, { skip }) => {
  const program = programOf(name);
  if (program === undefined && process.env['CI'] === undefined) skip();
  assert(program !== undefined, `continuous integration has ${name}`);
  const site = await serve(await bundle());
  const profile = mkdtempSync(join(tmpdir(), 'semel-browser-'));
  const child = spawn(program, [...words(profile), site.origin], { stdio: 'ignore' });
  const exit = once(child, 'exit');
  onTestFinished(async () => {
    child.kill();
    await exit;
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  });
  expect(await Promise.race([site.told, exit])).toEqual({
    order: [201, 'done'],
    request: 201,
    safe: [200, 'seen'],
    readBefore: true,
    keyOfBody: 201,
    hang: 201,
    abort: 'enough',
    unknown: ['unknown', { state: 'cancelled' }],
  });
  const sent = (path: string) => site.received.filter((received) => received.path === path);
  const distinct = (path: string) => new Set(sent(path).map(({ method, key, body }) => `${method} ${key} ${body}`));
  const uuidV7 = /[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/;
  for (const path of ['/order', '/request', '/hang', '/unknown']) {
    expect(sent(path).length, path).toBeGreaterThan(1);
    expect(distinct(path).size, path).toBe(1);
    expect([...distinct(path)][0]).toMatch(uuidV7);
  }
  expect([...distinct('/order')][0]).toMatch(/^POST \S+ \{"amount":5\}$/);
  expect(distinct('/safe')).toEqual(new Set(['GET undefined ']));
  expect(distinct('/key-of-body')).toEqual(new Set(['POST amount-12 {"amount":5}']));
  expect(sent('/read-before')).toEqual([]);
});

/** The page's program in one file, of web standards alone: an import of Node.js would be left in it. */
async function bundle(): Promise<string> {
  const built = await rolldown({
    input: fileURLToPath(import.meta.resolve('./browser.harness.ts')),
    platform: 'browser',
  });
  const { output } = await built.generate({ format: 'esm' });
  await built.close();
  const [{ code, imports, dynamicImports }] = output;
  expect([...imports, ...dynamicImports]).toEqual([]);
  return code;
}

interface Received {
  readonly method: string | undefined;
  readonly path: string;
  readonly key: string | undefined;
  readonly body: string;
}

/** The page, and what its scenes are played against: the n-th request of a path meets the n-th reaction, or the last. */
async function serve(program: string) {
  const busy = (response: ServerResponse) => void response.writeHead(503).end();
  const half = (response: ServerResponse) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('half', () => response.socket?.destroy());
  };
  const hang = () => undefined;
  const done = (response: ServerResponse) => void response.writeHead(201).end('done');
  const came = Promise.withResolvers<void>();
  const reactions: Readonly<Record<string, readonly ((response: ServerResponse) => void)[]>> = {
    '/order': [busy, half, done],
    '/request': [half, done],
    '/safe': [busy, (response) => void response.end('seen')],
    '/key-of-body': [done],
    '/hang': [hang, done],
    '/abort': [() => came.resolve()],
    '/abort-came': [(response) => void came.promise.then(() => response.end())],
    '/unknown': [busy],
  };
  const documents: Readonly<Record<string, readonly [string, string]>> = {
    '/': ['text/html', '<!doctype html><script type="module" src="/program.js"></script>'],
    '/program.js': ['text/javascript', program],
  };
  const received: Received[] = [];
  const told = Promise.withResolvers<unknown>();
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = request.url ?? '';
    const key = request.headers['idempotency-key']?.toString();
    const body = await text(request);
    const before = received.filter((other) => other.path === path).length;
    received.push({ method: request.method, path, key, body });
    const react = reactions[path]?.[before] ?? reactions[path]?.at(-1);
    if (react !== undefined) return react(response);
    if (path === '/told') told.resolve(JSON.parse(body));
    const [type, content] = documents[path] ?? ['application/json', '{"state":"cancelled"}'];
    response.setHeader('content-type', type).end(content);
  };
  const server = createServer((request, response) => void answer(request, response));
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received, told: told.promise };
}
